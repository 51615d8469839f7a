"""``python -m manifests.images``: make the demo's images in the user's own Podman storage."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from runtime.podman.interface import RuntimeFailure
from runtime.podman.service import PodmanService

from . import CannotBuild, build, demo_recipes, local_podman


def main() -> int:
    """Build what is missing; returns the exit code."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            service = PodmanService(Path(folder))
            service.prepare()  # the settings that this machine needs
            made = build(demo_recipes(), local_podman(service.command(), service.environment))
    except (CannotBuild, RuntimeFailure) as error:
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
