"""Custom resources: what a CustomResourceDefinition says, turned into registry entries like those of built-in kinds.

A definition's schema is compiled once per version into :class:`Structural`; from it come the reading of bodies
(pruning, nulls, defaults), validation with the sentences of upstream's validator, the types that server-side apply
walks by, and the published OpenAPI. The rest of the server can't tell a custom kind from a built-in one.
"""

from .conditions import CLEANUP, condition_of, is_true, with_condition
from .definitions import resources_of
from .structural import Structural

__all__ = ["CLEANUP", "Structural", "condition_of", "is_true", "resources_of", "with_condition"]
