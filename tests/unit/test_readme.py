"""README says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from kubetui.config import load_config
from tests.support.readme import README, rendered


def test_keys_and_commands_are_current() -> None:
    text = README.read_text("utf-8")
    assert rendered(text) == text, "run: python -m tests.support.readme"


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text("utf-8")):
        assert (README.parent / target).exists(), target


def test_its_make_targets_exist() -> None:
    makefile = (Path(README).parent / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make (\w+)`", README.read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_its_configuration_is_one(tmp_path: Path) -> None:
    [sample] = re.findall(r"config\.yaml`;.*?```yaml\n(.*?)```", README.read_text("utf-8"), re.S)
    (tmp_path / "config.yaml").write_text(sample)
    config = load_config(tmp_path / "config.yaml")
    assert config.problems == []
    assert (
        config.theme
        and config.keys
        and config.aliases
        and config.columns
        and config.themes
        and config.plugins
    )
