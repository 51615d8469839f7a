"""``python -m manifests.images``: make the demo's images in the user's own Podman storage."""

from __future__ import annotations

import os
import subprocess
import sys

from . import CannotBuild, build, demo_recipes, local_podman


def main() -> int:
    """Build what is missing; returns the exit code."""
    command = ["podman"]
    root = os.environ.get("KUBETUI_PODMAN_ROOT")
    if root:
        command += ["--root", f"{root}/root", "--runroot", f"{root}/run"]
    try:
        made = build(demo_recipes(), local_podman(command))
    except (CannotBuild, FileNotFoundError) as error:
        print(f"the demo's images were not made: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"the demo's images were not made: {error.stderr.decode().strip()}", file=sys.stderr)
        return 1
    for name in made:
        print(f"made {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
