"""Annotations checked while the tests run: beartype for types, jaxtyping for shapes.

`check_package` makes every function and data class of a package check what goes in and what comes out. A function that
speaks of arrays gets a scope in which a letter means one size; jaxtyping's own hook gives every function one and checks
arguments twice, which doubled the time of the tests.

Three kinds of annotation cannot be checked, when functions are checked one by one: `Self`, a protocol that is not
declared `runtime_checkable`, and a name that is imported for type checkers alone. Such an annotation is left to
pyright; all others of the same function are still checked.
"""

import ast
import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, get_type_hints

from beartype import beartype
from beartype.roar import BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception
from jaxtyping import jaxtyped

UNCHECKABLE = (BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception)
ARRAYS = ("np.ndarray", "Tensor", "jaxtyping.")
checking = True  # a test that wants our own messages about arrays turns it off


def check_package(name: str) -> None:
    """Check a package and all its modules, which nobody may have imported yet."""
    assert name not in sys.modules, f"{name} is imported already, and would not be checked"
    sys.meta_path.insert(0, _Finder(name))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check the arguments and the result of a function at every call."""
    one_by_one = _checked_types(function)
    if not any(word in str(hint) for hint in function.__annotations__.values() for word in ARRAYS):
        return one_by_one

    @functools.wraps(function)
    def in_a_scope(*arguments: Any, **named: Any) -> Any:
        if not checking:
            return function(*arguments, **named)
        with jaxtyped("context"):
            return one_by_one(*arguments, **named)

    return in_a_scope


def checked_class(kind: type) -> type:
    """Check what makes a data class; other classes stay as they are."""
    if dataclasses.is_dataclass(kind) and "__init__" in vars(kind):
        kind.__init__ = checked(kind.__init__)
    return kind


class _Finder(PathFinder):
    """Finds the modules of one package."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(  # pyright: ignore[reportIncompatibleMethodOverride] - one package, one finder
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Loads a module with decorators everywhere, and never from compiled files, which have none."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return compile(_Decorated().visit(ast.parse(self.get_data(path))), path, "exec", dont_inherit=True)


class _Decorated(ast.NodeTransformer):
    """Decorates functions innermost, where annotations are still there, and classes outermost, where they are made."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        if not any(ast.unparse(one).endswith("no_type_check") for one in node.decorator_list):
            node.decorator_list.append(_decorator("checked", node))
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.decorator_list.insert(0, _decorator("checked_class", node))
        return node


def _decorator(name: str, beside: ast.AST) -> ast.expr:
    expression = ast.parse(f"__import__({__name__!r}).{name}", mode="eval").body
    for part in ast.walk(expression):
        ast.copy_location(part, beside)
    return expression


def _checked_types(function: Callable[..., Any]) -> Callable[..., Any]:
    known = dict(_known_hints(function))
    try:
        return _beartyped(function, known)
    except UNCHECKABLE:
        return _beartyped(function, {name: hint for name, hint in known.items() if _is_checkable(function, name, hint)})


def _known_hints(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Give the hints whose names are there while running, without quotes."""
    for name, hint in function.__annotations__.items():
        holder = type("Holder", (), {"__annotations__": {name: hint}})
        with contextlib.suppress(Exception):
            yield name, get_type_hints(holder, function.__globals__, include_extras=True)[name]


def _beartyped(function: Callable[..., Any], hints: dict[str, Any]) -> Callable[..., Any]:
    """Check some hints of a function, which keeps all of them for whoever reads them."""
    whole = function.__annotations__
    function.__annotations__ = hints
    try:
        wrapped = beartype(function)
    finally:
        function.__annotations__ = whole
    wrapped.__annotations__ = whole
    return wrapped


def _is_checkable(function: Callable[..., Any], name: str, hint: Any) -> bool:
    try:
        _beartyped(function, {name: hint})
    except UNCHECKABLE:
        return False
    return True
