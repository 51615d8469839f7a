"""Test images under the names that manifests use: busybox, nginx in several versions, http-go, the demo's."""

from __future__ import annotations

from dataclasses import replace

from manifests.images import Podman, Recipe, build
from manifests.images.recipes import own_recipes, stand_ins


def with_short_names() -> list[Recipe]:
    """The demo's images and http-go under Docker's name too, as manifests of all sorts ask for them."""
    return [
        replace(recipe, names=(*recipe.names, recipe.names[0].replace("localhost/", "docker.io/library/")))
        for recipe in own_recipes()
    ]


def build_all(podman: Podman) -> list[str]:
    """Everything; what is there already is left alone. Returns the names made."""
    families = [recipe for family in stand_ins() for recipe in family]
    return build([*families, *with_short_names()], podman)
