"""The uids that the server makes up."""

from __future__ import annotations

import uuid

from runtime.api.names import new_uid


def test_uids_are_version_4_and_never_the_same() -> None:
    made = [new_uid() for _ in range(5000)]
    assert len(set(made)) == len(made)
    for text in made:
        found = uuid.UUID(text)
        assert str(found) == text and found.version == 4 and found.variant == uuid.RFC_4122
    assert len({text[19] for text in made}) == 4
