import json
from pathlib import Path

import pytest

from runtime.podman.accounts import Accounts, Identity, layers, read_accounts

PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\nodd line\nbroken:x:y:z\n"
GROUP = "root:x:0:\nwheel:x:10:root,app\nmore:x:50000:app\nnone:x:7\n"


@pytest.fixture
def layer(tmp_path):
    def make(name: str, **files: str) -> Path:
        folder = tmp_path / name
        (folder / "etc").mkdir(parents=True)
        for file, text in files.items():
            (folder / "etc" / file).write_text(text)
        return folder

    return make


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (10,))),
        ("root", Identity(0, 0, (10,))),
        ("app", Identity(1000, 1001, (10, 50000))),
        ("1000", Identity(1000, 1001, (10, 50000))),
        ("1000:7", Identity(1000, 7, (10, 50000))),
        ("app:wheel", Identity(1000, 10, (10, 50000))),
        (":wheel", Identity(0, 10, (10,))),
        ("4242", Identity(4242, 0)),
        ("4242:4243", Identity(4242, 4243)),
        ("nobody", None),
        ("app:nothing", None),
    ],
)
def test_whom_a_user_means(layer, user, expected):
    accounts = read_accounts([layer("top", passwd=PASSWD, group=GROUP)])
    assert accounts.identity(user) == expected


def test_the_uppermost_layer_that_has_a_file_counts(layer, tmp_path):
    below = layer("below", passwd=PASSWD, group=GROUP)
    above = layer("above", group="other:x:9:app\n")
    empty = tmp_path / "empty"
    assert read_accounts([empty, above, below]).identity("app") == Identity(1000, 1001, (9,))
    assert read_accounts([empty]) == Accounts()


def test_a_removed_file_is_not_looked_for_further_down(layer):
    below = layer("below", passwd=PASSWD, group=GROUP)
    above = layer("above", **{".wh.group": "", "passwd": PASSWD})
    assert read_accounts([above, below]).identity("app") == Identity(1000, 1001, ())


def test_where_an_image_is_unpacked(tmp_path):
    data = {"UpperDir": "/s/overlay/c/diff", "LowerDir": "/s/overlay/b/diff:/s/overlay/a/diff"}
    folders = [Path(f"/s/overlay/{name}/diff") for name in "cba"]
    assert layers({"Id": "1", "GraphDriver": {"Name": "overlay", "Data": data}}, tmp_path) == folders
    copied = {"Id": "1", "GraphDriver": {"Name": "vfs", "Data": None}}
    storage = tmp_path / "vfs-images"
    assert layers(copied, None) == layers(copied, storage) == []
    storage.mkdir()
    (storage / "images.json").write_text(json.dumps([{"id": "0", "layer": "x"}, {"id": "1", "layer": "y"}]))
    assert layers(copied, storage) == [tmp_path / "vfs" / "dir" / "y"]
    (storage / "images.json").write_text("[{}]")
    assert layers(copied, storage) == []


def test_what_is_no_plain_file_is_not_followed_out_of_the_image(layer, tmp_path):
    top = layer("top", passwd=PASSWD)
    (top / "etc" / "group").symlink_to("/etc/group")
    assert read_accounts([top]) is None
    outside = tmp_path / "linked"
    outside.mkdir()
    (outside / "etc").symlink_to("/etc")
    assert read_accounts([outside]) is None
