"""Changing things by keys: $EDITOR, delete, restart, pause, a stuck rollout rolled back in the middle, manifests."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from tests.support.clusters import Cluster, Open, deployment, namespace
from tests.support.serving import eventually

pytestmark = [pytest.mark.podman, pytest.mark.kubectl]

# The first time it breaks the object, the second time it keeps what it was given and mends it.
EDITOR = """#!/bin/sh
if [ -e {folder}/refused.yaml ]; then
    exit 0
elif [ -e {folder}/tried ]; then
    cp "$1" {folder}/refused.yaml
    sed -i 's/replicas: -1/replicas: 2/' "$1"
else
    touch {folder}/tried
    sed -i 's/replicas: 1$/replicas: -1/' "$1"
fi
"""


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_an_edit_that_is_refused_keeps_its_text(cluster: Cluster, terminal: Open, tmp_path: Path) -> None:
    editor = script(tmp_path / "editor", EDITOR.format(folder=tmp_path))
    window = terminal("-n", "edits", environment={"EDITOR": str(editor)})
    window.shows(r"web +.*1/1")
    window.keys("e")
    kubectl = cluster.serving.kubectl()
    eventually(
        "the mended object is there",
        lambda: kubectl.json("get", "deploy", "web", "-n", "edits")["spec"]["replicas"] == 2,
    )
    refused = (tmp_path / "refused.yaml").read_text()
    assert re.search(r"^#! .*invalid.*replicas", refused, re.I), refused[:400]
    assert re.search(r"#! \^ below: spec\.replicas: .*\n +replicas: -1\n", refused)
    window.shows(r"web +.*2/2")
    window.keys("q")
    window.shows("exit-code=0")


def test_delete_asks_first(cluster: Cluster, terminal: Open) -> None:
    kubectl = cluster.serving.kubectl()
    kubectl("create", "configmap", "junk", "-n", "edits", "--from-literal=a=b")
    window = terminal("-n", "edits")
    window.shows(r"web ")
    window.type(":cm")
    window.keys("Enter")
    window.shows(r"junk +1")
    window.type("/junk")
    window.keys("Enter")
    window.hides(r"kube-root-ca")
    window.keys("C-d")
    window.shows(r"Delete configmap/junk")
    window.keys("Escape")
    window.hides(r"Delete configmap/junk")
    assert kubectl.json("get", "cm", "junk", "-n", "edits")
    window.keys("C-d")
    window.shows(r"Delete configmap/junk")
    window.keys("Enter")
    window.hides(r"junk +1")
    assert kubectl.run("get", "cm", "junk", "-n", "edits", check=False).returncode == 1


def test_restart_pause_and_a_stuck_rollout_rolled_back(cluster: Cluster, terminal: Open) -> None:
    kubectl = cluster.serving.kubectl()
    window = terminal("-n", "rolling")
    window.shows(r"web +.*1/1")
    first = kubectl.json("get", "pods", "-n", "rolling")["items"][0]["metadata"]["name"]
    window.keys("R")
    window.shows(r"Restart deployment/web")
    window.keys("Enter")
    window.shows(r"▶ #2")
    window.hides(rf"^.{{0,3}}{first} ")
    window.shows(r"✔ Complete")

    window.keys("Space")
    window.shows(r"❚❚ Paused")
    assert kubectl.json("get", "deploy", "web", "-n", "rolling")["spec"]["paused"] is True
    window.keys("Space")
    window.hides(r"❚❚ Paused")

    window.keys("i")
    window.shows(r"http-go:v1")
    window.keys("C-u")
    window.type("localhost/does-not-exist:v9")
    window.keys("Enter")
    window.shows(r"▶ #3")
    window.shows(r"▲ Image.*(does-not-exist|ErrImagePull|ImagePullBackOff)")
    window.shows(r"(ErrImagePull|ImagePullBackOff)")
    window.shows(r"▲ \d+ ?(stuck|broken)")
    window.keys("r")
    window.shows(r"Difference")
    window.shows(r"-.*does-not-exist:v9.*│\+.*http-go:v1")
    window.keys("Enter")
    window.shows(r"Roll deployment/web back to revision 2\?")
    window.keys("Enter")
    window.hides(r"does-not-exist.*1/|▲ Image")
    window.shows(r"✔ Complete")
    kubectl("rollout", "status", "deployment", "web", "-n", "rolling", "--timeout=60s")


def test_a_manifest_with_an_error_and_a_drift(cluster: Cluster, terminal: Open) -> None:
    window = terminal("-n", "drift")
    window.shows(r"web +.*1/1")
    window.keys("6", "z")
    window.shows(r"drift\.yaml +applied")
    path = cluster.manifests / "drift.yaml"
    good = path.read_text()
    path.write_text(good.replace("replicas: 1", "replicas: many"))
    line = good.replace("replicas: 1", "replicas: many").splitlines().index("  replicas: many") + 1
    window.shows(rf"drift\.yaml +invalid +line {line}: Deployment drift/web: \.spec\.replicas: expected")
    window.shows(r"▲ .*1 bad file")
    path.write_text(good)
    window.shows(r"drift\.yaml +applied")
    window.keys("z", "1")
    window.shows(r"web +.*1/1")
    window.keys("+")
    window.shows(r"web +.*2/2")
    window.keys("6", "z")
    window.shows(r"Namespace/drift.*\n.*drifted +spec\.replicas: file 1, live 2")
    path.write_text(namespace("drift") + deployment("drift", replicas=3))
    window.shows(r"Namespace/drift.*\n.*Deployment/web +in-sync")
    kubectl = cluster.serving.kubectl()
    eventually(
        "the file wins once it changes",
        lambda: kubectl.json("get", "deploy", "web", "-n", "drift")["spec"]["replicas"] == 3,
    )
