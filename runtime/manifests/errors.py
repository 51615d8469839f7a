"""What is wrong with a manifest, and where: one error for text, objects and whatever else can fail on the way."""

from __future__ import annotations

from runtime.objects.yamltext import YAMLTextError


class ManifestError(YAMLTextError):
    """Something wrong in a manifest. ``line`` counts from 1 in its file; 0 is the file as a whole."""
