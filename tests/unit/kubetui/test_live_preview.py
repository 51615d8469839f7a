"""The object as applying a document would leave it, from the watcher's list of differences."""

from __future__ import annotations

from kubetui.live.manifests import Document, Drift
from kubetui.live.preview import document_text, two_sides, would_be

LIVE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "a", "old": "1"}, "uid": "u"},
    "spec": {"containers": [{"name": "app", "image": "a:1", "args": ["x", "y", "z"]}]},
    "status": {"phase": "Running"},
}


def document(**more: object) -> Document:
    given = {"index": 0, "line": 1, "api_version": "v1", "kind": "Pod", "namespace": "d", "name": "a"}
    given |= {"state": "pending", "message": "", "drift": ()}
    return Document(**{**given, **more})  # type: ignore[arg-type]


def test_fields_are_set_added_and_removed() -> None:
    found = would_be(
        LIVE,
        [
            Drift("spec.containers[0].image", "a:2", "a:1"),
            Drift("spec.containers[0].args[1]", None, "y"),
            Drift("spec.containers[0].args[2]", None, "z"),
            Drift("spec.containers[1]", {"name": "side"}, None),
            Drift("metadata.labels[app.kubernetes.io/name]", "b", "a"),
            Drift("metadata.labels.old", None, "1"),
            Drift("metadata.annotations", {"k": "v"}, None),
            Drift("spec.securityContext.runAsUser", 5, None),
        ],
    )
    assert found["spec"] == {
        "containers": [{"name": "app", "image": "a:2", "args": ["x"]}, {"name": "side"}],
        "securityContext": {"runAsUser": 5},
    }
    assert found["metadata"]["labels"] == {"app.kubernetes.io/name": "b"}
    assert found["metadata"]["annotations"] == {"k": "v"}
    assert LIVE["spec"]["containers"][0]["image"] == "a:1"  # type: ignore[index]


def test_a_path_that_does_not_fit_changes_nothing() -> None:
    assert would_be({"kind": "X", "spec": 5}, [Drift("spec.a[0].b", 1, None)])["spec"] == {"a": [{"b": 1}]}


def test_sides_of_a_change_a_creation_and_a_removal() -> None:
    left, right = two_sides(document(drift=(Drift("spec.containers[0].image", "a:2", "a:1"),)), LIVE, "")
    assert "image: a:1" in left and "image: a:2" in right
    assert "status" not in left and "uid" not in left
    assert two_sides(document(prune=True), LIVE, "")[1] == ""
    text = "kind: A\n---\n# about b\nkind: B\nname: b\n---\nkind: C\n"
    assert two_sides(document(line=4), None, text) == ("", "# about b\nkind: B\nname: b")


def test_the_lines_of_a_document() -> None:
    assert document_text("kind: A\n", document(line=1)) == "kind: A"
    assert document_text("---\nkind: A\n---\nkind: B", document(line=2)) == "kind: A"
    assert document_text("", document(line=9)) == ""
