"""Where what a container sends may go, and which tar is asked for."""

from __future__ import annotations

import pytest

from kubetui.live.copy import download_command, placed


@pytest.mark.parametrize(
    ("remote", "folder", "member", "top"),
    [
        ("/etc/hosts", "/etc", "./hosts", "hosts"),
        ("/etc/", "/", "./etc", "etc"),
        ("/", "/", ".", ""),
        ("data/x", "data", "./x", "x"),
        ("x", ".", "./x", "x"),
        ("/a/-rf", "/a", "./-rf", "-rf"),
        ("/a/../b", "/", "./b", "b"),
    ],
)
def test_the_command(remote: str, folder: str, member: str, top: str) -> None:
    assert download_command(remote) == (["tar", "cf", "-", "-C", folder, member], top)


@pytest.mark.parametrize(
    ("member", "top", "place"),
    [
        ("./app", "app", "new"),
        ("app/a/b", "app", "new/a/b"),
        ("./other", "app", None),
        ("application", "app", None),
        ("/app/x", "app", None),
        ("app/../../x", "app", None),
        ("./etc/x", "", "new/etc/x"),
        ("../x", "", None),
    ],
)
def test_the_place(member: str, top: str, place: str | None) -> None:
    assert placed(member, top, "new") == place
