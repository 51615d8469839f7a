"""What ``make run`` does about the images of the examples, with a registry and without one."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from manifests.images import (
    RECIPE_LABEL,
    STAND_IN_LABEL,
    CannotBuild,
    Content,
    Recipe,
    build,
    layer,
    packages,
    present,
)
from manifests.images import (
    __main__ as program,
)
from manifests.images.recipes import NGINX_TAGS, nginx, own_recipes

ROOT = Path(__file__).parents[3]


class Storage:
    """A Podman that keeps images and labels in a dictionary."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, str]] = {}
        self.calls: list[list[str]] = []

    def __call__(self, arguments: Sequence[str], data: bytes | None) -> str:
        self.calls.append(list(arguments))
        match arguments[0]:
            case "images":
                return json.dumps(
                    [{"Names": [name], "Labels": labels} for name, labels in self.images.items()]
                )
            case "import":
                labels = [part for part in arguments if part.startswith("LABEL ")]
                self.images[arguments[-1]] = dict(label[6:].split("=", 1) for label in labels)
            case "tag":
                for name in arguments[2:]:
                    self.images[name] = self.images[arguments[1]]
            case "build":
                lines = (Path(arguments[-1]) / "Containerfile").read_text().splitlines()
                labels = [line for line in lines if line.startswith("LABEL ")]
                self.images[arguments[3]] = dict(label[6:].split("=", 1) for label in labels)
                self.images[arguments[3]]["from"] = lines[0].removeprefix("FROM ")
        return ""


@pytest.fixture(autouse=True)
def plain_bases(monkeypatch: pytest.MonkeyPatch) -> None:
    """No packages are fetched: every base is one file."""

    def plain(recipes: Callable[[], Any]) -> Callable[[], Any]:
        def of(recipe: Recipe) -> Recipe:
            return replace(recipe, base=lambda: Content({"bin/sh": b"\x7fELF"}))

        return lambda: [
            [of(one) for one in found] if isinstance(found, list) else of(found) for found in recipes()
        ]

    monkeypatch.setattr(program, "own_recipes", plain(program.own_recipes))
    monkeypatch.setattr(program, "stand_ins", plain(program.stand_ins))


def podman(folder: Path, script: str) -> list[str]:
    """A ``podman`` that does what the script says."""
    path = folder / "podman"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return [str(path)]


NOT_FOUND = "echo 'Error: pinging: dial tcp: lookup registry-1.docker.io: no such host'; exit 125"


def test_the_examples_name_what_they_need() -> None:
    found = program.images_of([ROOT / "manifests"])
    assert set(found) == {"localhost/kubetui-demo:v1", "http-go:v1", "busybox", "nginx:1.14.2"}


def test_a_manifest_that_is_no_yaml_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_text("spec: {containers: [{name: c, image: 'x:1'}]}")
    (tmp_path / "c.yaml").write_text(
        "spec: {containers: [{name: c, image: 'y:1', imagePullPolicy: Never}, {name: d, image: 'x:1'}]}"
    )
    (tmp_path / "d.txt").write_text("spec: {containers: [{name: c, image: 'z:1'}]}")
    assert program.images_of([tmp_path]) == ["x:1"]


def test_without_a_registry_stand_ins_are_made_and_one_pull_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage, tries = Storage(), tmp_path / "tries"
    command = podman(tmp_path, f"echo try >>{tries}\n{NOT_FOUND}")
    assert program.provide([ROOT / "manifests"], storage, command, {"PATH": "/usr/bin:/bin"})
    assert tries.read_text() == "try\n", "the registry that did not answer is not asked again"
    assert storage.images["docker.io/library/nginx:1.14.2"][STAND_IN_LABEL] == "true"
    assert STAND_IN_LABEL not in storage.images["localhost/kubetui-demo:v1"]
    printed = capsys.readouterr().out
    assert "no registry within reach (lookup registry-1.docker.io: no such host)" in printed
    assert f"({STAND_IN_LABEL}=true): docker.io/library/nginx:latest, alpine, stable, 1.14.2" in printed
    storage.calls.clear()
    assert program.provide([ROOT / "manifests"], storage, ["/bin/false"], {})
    assert [call[0] for call in storage.calls] == ["images", "images"], "the second time it only looks"
    assert capsys.readouterr().out == ""


def test_with_a_registry_its_images_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage, asked = Storage(), tmp_path / "asked"
    command = podman(tmp_path, f'echo "$2" >>{asked}')
    assert program.provide([ROOT / "manifests"], storage, command, {"PATH": "/usr/bin:/bin"})
    assert sorted(asked.read_text().split()) == [
        "docker.io/library/busybox:latest",
        "docker.io/library/nginx:1.14.2",
    ]
    assert not any(STAND_IN_LABEL in labels for labels in storage.images.values())
    assert "pulling docker.io/library/nginx:1.14.2 … done" in capsys.readouterr().out


def test_an_image_that_nobody_has_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text("spec: {containers: [{name: c, image: 'registry.example/x:1'}]}")
    assert not program.provide([tmp_path], Storage(), podman(tmp_path, NOT_FOUND), {"PATH": "/usr/bin:/bin"})
    assert "registry.example/x:1 is not here, and no registry gave it" in capsys.readouterr().out


def test_a_silent_registry_is_given_up_and_a_slow_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "FIRST_SIGN_SECONDS", 0.3)
    silent = podman(tmp_path, "echo 'Trying to pull x...'; exec sleep 60")
    assert program.pull(silent, {"PATH": "/usr/bin:/bin"}, "x") == "no answer within 0 s"
    slow = podman(tmp_path, "echo 'Getting image source signatures'; sleep 1")
    assert program.pull(slow, {"PATH": "/usr/bin:/bin"}, "x") == ""


def test_a_stand_in_never_takes_a_real_images_name() -> None:
    storage = Storage()
    storage.images["docker.io/library/nginx:1.16.1"] = {"maintainer": "NGINX"}
    recipes = [replace(recipe, base=lambda: Content({"bin/sh": b"\x7fELF"})) for recipe in nginx()]
    made = build(recipes, storage)
    assert "docker.io/library/nginx:1.16.1" not in made
    assert storage.images["docker.io/library/nginx:1.16.1"] == {"maintainer": "NGINX"}
    assert {f"docker.io/library/nginx:{tag}" for tag in NGINX_TAGS if tag != "1.16.1"} <= set(made)


def test_a_changed_recipe_is_made_again() -> None:
    storage = Storage()
    recipe = Recipe(("localhost/a:1",), lambda: Content({}), files={"f": b"1"})
    assert build([recipe], storage) == ["localhost/a:1"]
    assert build([recipe], storage) == []
    assert build([replace(recipe, files={"f": b"2"})], storage) == ["localhost/a:1"]
    assert present(storage)["localhost/a:1"] == replace(recipe, files={"f": b"2"}).digest
    assert storage.images["localhost/a:1"].keys() == {RECIPE_LABEL}


def test_without_debian_packages_the_registrys_busybox_carries_the_demo() -> None:
    def nothing() -> Content:
        raise CannotBuild("no apt-get")

    storage = Storage()
    recipes = [replace(recipe, base=nothing) for recipe in own_recipes()]
    build(recipes, storage)
    assert storage.images["localhost/kubetui-demo:v1"]["from"] == "docker.io/library/busybox:latest"
    with pytest.raises(CannotBuild):
        build([replace(recipes[0], substitute="", names=("localhost/b:1",))], storage)


def test_a_layer_is_the_same_for_the_same_content() -> None:
    content = Content({"usr/bin/x": b"#!/bin/sh\n", "etc/x": b"1"}, {"bin/x": "../usr/bin/x"}, ("var/log/x",))
    assert layer(content) == layer(content)
    with tarfile.open(fileobj=io.BytesIO(layer(content))) as archive:
        modes = {entry.name: entry.mode for entry in archive}
    assert modes["usr/bin/x"] == 0o755 and modes["etc/x"] == 0o644 and modes["tmp"] == 0o1777
    assert next(iter(modes)) == "bin" and "var/log" in modes, "every folder comes before what lies in it"


def _deb(folder: Path, name: str, depends: str, files: dict[str, str]) -> None:
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x\n"
    (tree / "DEBIAN/control").write_text(control + (f"Depends: {depends}\n" if depends else ""))
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    subprocess.run(
        ["dpkg-deb", "--build", tree, folder / f"{name}_1_all.deb"], check=True, capture_output=True
    )


def test_a_package_comes_with_the_libraries_that_its_release_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = packages.cache_folder()
    cache.mkdir(parents=True)
    depends = "libone1t64 (>= 1:2.0) | libone1, init-system-helpers (>= 1.5), zlibtwo:any"
    _deb(cache, "program", depends, {"usr/bin/program": "it"})
    _deb(cache, "libone1t64", "libthree3, libone1t64", {"usr/lib/one": "1"})
    _deb(cache, "zlibtwo", "", {"lib/two": "2"})
    _deb(cache, "libthree3", "", {"usr/lib/three": "3"})
    tree = packages.unpack(["program"])
    assert {path.name for path in tree.rglob("*") if path.is_file()} == {"program", "one", "two", "three"}
    assert packages.find_file(tree, "bin/program").read_text() == "it"
    assert packages.find_file(tree, "lib/two").read_text() == "2"
    with pytest.raises(CannotBuild, match="no bin/other"):
        packages.find_file(tree, "bin/other")
    assert packages.loader(tree) == [] and packages.program_files(tree, "bin/program") == {
        "bin/program": b"it"
    }
