"""The machine's log files through a node's ``/logs/``."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.kubelet.systemlogs import answer


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    (folder / "apt").mkdir(parents=True)
    (folder / "syslog").write_text("one\n")
    (folder / "apt" / "a & b").write_text("two\n")
    (tmp_path / "secret").write_text("no\n")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "in").symlink_to("syslog")
    return folder


@pytest.mark.parametrize("path", ["", "/"])
def test_a_folder_is_listed(logs: Path, path: str) -> None:
    page = answer(path, logs)
    assert (page.status, page.content_type) == (200, "text/html; charset=utf-8")
    assert b'<a href="apt/">apt/</a>\n' in page.body and b'<a href="syslog">syslog</a>\n' in page.body
    assert b'<a href="a%20%26%20b">a &amp; b</a>' in answer("/apt/", logs).body


@pytest.mark.parametrize(
    ("path", "name"), [("/syslog", "syslog"), ("/apt/a%20%26%20b", "apt/a & b"), ("/in", "syslog")]
)
def test_a_file_is_handed_over_as_it_is(logs: Path, path: str, name: str) -> None:
    page = answer(path, logs)
    assert (page.status, page.content_type) == (200, "text/plain; charset=utf-8")
    assert page.file == logs / name


@pytest.mark.parametrize(
    "path", ["/none", "/../secret", "/%2e%2e/secret", "/out", "/apt/../../secret", "/a\0b"]
)
def test_nothing_outside_of_the_folder_is_shown(logs: Path, path: str) -> None:
    page = answer(path, logs)
    assert (page.status, page.body, page.file) == (404, b"404 page not found\n", None)
