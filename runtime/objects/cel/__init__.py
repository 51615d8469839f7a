"""CEL, the expression language of validation rules and admission policies, as Kubernetes uses it.

``compile_expression`` reads a text once; the result is evaluated as often as wanted with :meth:`Expression.evaluate`.
Follows the CEL specification (cel-spec ``doc/langdef.md``) and apiserver ``pkg/cel``: the language, its standard
functions, and Kubernetes' own libraries.
"""

from .evaluate import Budget, Expression, compile_expression
from .parse import CelSyntaxError
from .values import NO_VALUE, CelError, Optional, Uint

__all__ = [
    "NO_VALUE",
    "Budget",
    "CelError",
    "CelSyntaxError",
    "Expression",
    "Optional",
    "Uint",
    "compile_expression",
]
