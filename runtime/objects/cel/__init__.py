"""CEL, the expression language of validation rules and admission policies, as Kubernetes uses it.

``compile_expression`` reads a text once; the result is evaluated as often as wanted with :meth:`Expression.evaluate`.
Follows the CEL specification (cel-spec ``doc/langdef.md``) and apiserver ``pkg/cel``: the language, its standard
functions, and Kubernetes' own libraries.
"""

from .evaluate import Budget, Expression, compile_expression
from .parse import CelSyntaxError
from .structs import JSON_PATCH, OBJECT, misplaced, to_json
from .values import NO_VALUE, CelError, Optional, Struct, Uint

__all__ = [
    "JSON_PATCH",
    "NO_VALUE",
    "OBJECT",
    "Budget",
    "CelError",
    "CelSyntaxError",
    "Expression",
    "Optional",
    "Struct",
    "Uint",
    "compile_expression",
    "misplaced",
    "to_json",
]
