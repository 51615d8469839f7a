"""Objects as the API sees them: parsed from YAML, decoded, defaulted and made ready by their kind's strategy."""

import textwrap
from typing import Any

import pytest
import yaml

from runtime.objects import meta
from runtime.objects.kinds import builtin_registry
from runtime.objects.registry import Resource
from runtime.objects.schema import decode

Obj = dict[str, Any]
REGISTRY = builtin_registry()


class Kinds:
    """What the API does with an object, without the API."""

    def resource(self, obj: Obj) -> Resource:
        found = REGISTRY.by_kind(obj["apiVersion"], obj["kind"])
        assert found is not None, obj
        return found

    def read(self, text: str | Obj) -> Obj:
        """Decoded and defaulted; metadata as the API completes it."""
        obj = yaml.safe_load(textwrap.dedent(text)) if isinstance(text, str) else meta.copy(text)
        resource = self.resource(obj)
        clean, unknown = decode(resource, obj)
        assert unknown == []
        metadata = clean.setdefault("metadata", {})
        if resource.namespaced:
            metadata.setdefault("namespace", "default")
        metadata.setdefault("uid", "uid-1")
        metadata.setdefault("resourceVersion", "1")
        resource.strategy.default(clean)
        return clean

    def create(self, text: str | Obj) -> Obj:
        """Ready to be stored."""
        obj = self.read(text)
        self.resource(obj).strategy.prepare_for_create(obj)
        return obj

    def errors(self, text: str | Obj) -> list[str]:
        """What is wrong with a new object."""
        obj = self.create(text)
        return [str(error) for error in self.resource(obj).strategy.validate(obj)]

    def update(self, old: Obj, **changes: Any) -> tuple[Obj, list[str]]:
        """A change of members by path (``spec__replicas=2``; None removes), and what is wrong with it."""
        new = meta.copy(old)
        for path, value in changes.items():
            *steps, last = path.split("__")
            place: Any = new
            for step in steps:
                place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
            if value is None:
                place.pop(last, None)
            else:
                place[last] = value
        strategy = self.resource(old).strategy
        strategy.prepare_for_update(new, old)
        return new, [str(error) for error in strategy.validate_update(new, old)]


@pytest.fixture
def kinds() -> Kinds:
    return Kinds()
