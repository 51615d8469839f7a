"""Makes README's pictures from the running program: ``make screenshots``.

A real cluster on a Podman storage of its own runs the demo; the real terminal, without a screen, is pressed through
the tour, and what it shows is exported as SVG.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kubetui.app import KubetuiApp
from kubetui.options import AppOptions
from manifests.images import local_podman
from tests.images.build import build_all
from tests.support.serving import ROOT, Serving

PICTURES = Path(__file__).parent / "pictures"
SIZE = (144, 40)


async def until(check: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something to be shown."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise SystemExit("the terminal did not show what the picture needs")
        await asyncio.sleep(0.05)


def text_of(app: KubetuiApp) -> str:
    """What the screen says."""
    screen = app.screen
    lines = [strip.text for strip in screen._compositor.render_strips()]
    return "\n".join(lines)


def save(app: KubetuiApp, name: str) -> None:
    """One picture. The file changes only when what it shows does: element names are made stable."""
    svg = app.export_screenshot(title="kubetui")
    stable = re.sub(r"terminal-\d+", "terminal-0", svg)
    # A picture in a README loads nothing from elsewhere.
    stable = re.sub(r"@font-face \{.*?\}\s*", "", stable, flags=re.S)
    stable = stable.replace("Fira Code,", "Fira Code, DejaVu Sans Mono, ui-monospace,")
    (PICTURES / f"{name}.svg").write_text(stable, "utf-8")
    print(f"wrote {name}.svg")


async def tour(kubeconfig: Path, manifest: Path) -> None:
    """Press through the demo."""
    options = AppOptions(kubeconfig=str(kubeconfig), own_cluster=True, namespace="default")
    app = KubetuiApp(options)
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: len(re.findall("3/3|2/2", text_of(app))) >= 3 and "all well" in text_of(app))
        while "Rollout hello" not in re.sub(" +", " ", text_of(app)):
            await pilot.press("down")
            await pilot.pause(0.2)
        manifest.write_text(manifest.read_text().replace("kubetui-demo:v1", "kubetui-demo:v2"))
        await until(lambda: re.search(r"#2.*v2", text_of(app)) and "ContainerCreating" not in text_of(app))
        await until(lambda: re.search(r"#2.*1/", text_of(app)))
        save(app, "rollout")
        await until(lambda: "Complete" in text_of(app))
        await pilot.press("r")
        await until(lambda: "Difference" in text_of(app))
        await pilot.pause(0.3)
        save(app, "rollback")
        await pilot.press("escape")
        await pilot.press("l")
        await until(lambda: len(re.findall("answered by", text_of(app))) > 10)
        save(app, "logs")


def main() -> int:
    """Make all pictures."""
    PICTURES.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="kts-"))
    manifests = folder / "manifests"
    manifests.mkdir()
    for file in sorted((ROOT / "manifests").rglob("*.yaml")):
        shutil.copy(file, manifests / file.name)
    environment = {"KUBETUI_PODMAN_ROOT": str(folder / "podman")}
    command = ["podman", "--root", f"{folder}/podman/root", "--runroot", f"{folder}/podman/run"]
    build_all(local_podman(command))
    serving = Serving(folder, manifests, environment=environment, options=["--pod-subnet", "10.203.0.0/16"])
    try:
        serving.start()
        asyncio.run(tour(serving.kubeconfig, manifests / "hello.yaml"))
    finally:
        serving.stop()
        serving.run("down", "--volumes")
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
