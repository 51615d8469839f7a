"""What a server or YAML itself refuses stands above the line that it is about."""

from __future__ import annotations

import pytest
import yaml

from kubetui.commands.edit import with_errors
from kubetui.live.errors import ApiError

TEXT = """# deployment/web: save and leave
apiVersion: apps/v1
kind: Deployment
spec:
  replicas: four
  foo: bar
  template:
    spec:
      containers:
      - name: app
        image: 5
"""


def below(text: str, word: str) -> str:
    """The line that the note with this word stands above."""
    lines = text.splitlines()
    at = next(i for i, row in enumerate(lines) if row.startswith("#! ^ below") and word in row)
    return lines[at + 1].strip()


@pytest.mark.parametrize(
    ("message", "word", "line"),
    [
        ('strict decoding error: unknown field "spec.foo", unknown field "x"', "unknown field", "foo: bar"),
        (
            'strict decoding error: duplicate field "spec.template.spec.containers[0].image"',
            "duplicate field",
            "image: 5",
        ),
        (
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            "string where int32 is expected",
            "replicas: four",
        ),
        (
            "json: cannot unmarshal number into Go struct field "
            "Container.spec.template.spec.containers.image of type string",
            "number where string is expected",
            "containers:",
        ),
    ],
)
def test_what_cannot_be_decoded_is_shown_at_its_line(message: str, word: str, line: str) -> None:
    text = f'Deployment in version "v1" cannot be handled as a Deployment: {message}'
    shown = with_errors(TEXT, ApiError(400, "BadRequest", text))
    assert shown.startswith(f"#! {text}\n")
    assert below(shown, word) == line
    assert with_errors(shown, ApiError(400, "BadRequest", text)) == shown


@pytest.mark.parametrize(
    ("broken", "line"), [("  replicas: [4\n", "foo: bar"), ("  replicas: 4: 5\n", "replicas: 4: 5")]
)
def test_what_is_not_yaml_is_shown_at_its_line(broken: str, line: str) -> None:
    text = TEXT.replace("  replicas: four\n", broken)
    body = "\n".join(row for row in text.splitlines() if not row.startswith("#"))
    with pytest.raises(yaml.YAMLError) as caught:
        yaml.safe_load(body)
    shown = with_errors(text, caught.value)
    assert shown.startswith("#! not YAML: ")
    assert below(shown, "below") == line
