"""The type checker of the test run: beartype, which checks every annotation that can be checked while running.

Two kinds of annotation cannot, when functions are checked one by one: `Self`, and a protocol that is not declared
`runtime_checkable`. Such an annotation is left to pyright; all others of the same function are still checked.
"""

from collections.abc import Callable
from typing import Any

from beartype import beartype
from beartype.roar import BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception

UNCHECKABLE = (BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception)


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check the arguments and the result of a function at every call."""
    try:
        return beartype(function)
    except UNCHECKABLE:
        annotations = function.__annotations__
        function.__annotations__ = {
            name: hint for name, hint in annotations.items() if _is_checkable(function, name, hint)
        }
        return beartype(function)


def _is_checkable(function: Callable[..., Any], name: str, hint: Any) -> bool:
    whole = function.__annotations__
    function.__annotations__ = {name: hint}
    try:
        beartype(function)
    except UNCHECKABLE:
        return False
    finally:
        function.__annotations__ = whole
    return True
