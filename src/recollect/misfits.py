"""A value that does not fit its settings, in the words of our messages: what, got, expected, do.

It decides that places are named as a file writes them (`layout.form`), whatever the checker calls them inside; and that
where several values do not fit, the first is told.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from recollect.errors import UsageError

__all__ = ["misfit"]

_FIT: Final[Mapping[str, str]] = {
    "bool": "true or false",
    "finite_number": "a finite number",
    "float": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "int": "a whole number",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:g} or less",
    "literal_error": "{expected}",
    "model": "a table",
    "string": "text",
    "string_too_short": "text that is not empty",
    "tuple": "a list",
}
"""What is expected, by the kind of an error, or by the first word of its kind."""


def misfit(error: ValidationError, settings: type[BaseModel], *, where: str, do: str) -> UsageError:
    """Say the first thing that does not fit.

    Parameters
    ----------
    error : ValidationError
        What the checker found.
    settings : type
        What it checked against. A table of several kinds tells them apart by its `kind`.
    where : str
        What is checked, such as "the recipe stream".
    do : str
        What to do about a value of a wrong kind.
    """
    first = error.errors(include_url=False)[0]
    place, context = ".".join(_follow(settings, first["loc"])[0]), first.get("ctx", {})
    got = f"{place} = {first['input']!r}"
    if first["type"] == "extra_forbidden":
        table, kinds = _follow(settings, first["loc"][:-1])[1:]
        return _unknown_key(table or settings, kinds, place, where=where, got=got)
    if first["type"] == "missing":
        return UsageError(
            f"a value that {where} lacks", got=f"no {place}", expected=f"a value for {place}", do=f"add {place}"
        )
    if first["type"] == "value_error":
        fault, _, advice = str(context["error"]).partition("; ")
        got = f"in {place}: {fault}" if place else fault
        return UsageError(
            f"values of {where} that do not go together",
            got=got,
            expected="values that fit each other",
            do=advice or do,
        )
    if first["type"] == "union_tag_invalid":
        got = f"{place}.kind = {context['tag']!r}"
    return UsageError(f"a value of {where} does not fit", got=got, expected=_expected(first), do=do)


def _unknown_key(
    table: type[BaseModel], kinds: Mapping[str, type[BaseModel]], place: str, *, where: str, got: str
) -> UsageError:
    path, dot, key = place.rpartition(".")
    other = [kind for kind, one in kinds.items() if key in one.model_fields]
    near = difflib.get_close_matches(key, table.model_fields, n=1)
    advice = f"did you mean {path}{dot}{near[0]}?" if near else "take it out"
    return UsageError(
        f"a key that {where} cannot have",
        got=got,
        expected=f"one of {', '.join(table.model_fields)}",
        do=f"set {path}.kind to {other[0]}, or take it out" if other else advice,
    )


def _expected(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "union_tag_invalid":
        return f"one of {context['expected_tags']}"
    words = _FIT.get(kind) or _FIT.get(kind.partition("_")[0])
    return detail["msg"] if words is None else words.format(**context)


def _follow(
    settings: type[BaseModel], parts: Sequence[int | str]
) -> tuple[list[str], type[BaseModel] | None, Mapping[str, type[BaseModel]]]:
    """Walk to a value; return its place as a file names it and, if it is a table, its settings and its kinds."""
    place: list[str] = []
    table: type[BaseModel] | None = settings
    kinds: dict[str, type[BaseModel]] = {}
    for part in map(str, parts):
        if table is None and part in kinds:  # the checker names the kind that it took
            table = kinds[part]
            continue
        place.append(part)
        kinds = {} if table is None else _kinds(table, part)
        table = next(iter(kinds.values())) if len(kinds) == 1 else None
    return place, table, kinds


def _kinds(table: type[BaseModel], key: str) -> dict[str, type[BaseModel]]:
    """Return what a key may hold by kind, if it holds a table."""
    if key not in table.model_fields:
        return {}
    annotation = table.model_fields[key].annotation
    choices = [next(iter(get_args(choice)), choice) for choice in get_args(annotation) or (annotation,)]
    tables = [one for one in choices if isinstance(one, type) and issubclass(one, BaseModel)]
    return {str(one.model_fields["kind"].default) if "kind" in one.model_fields else key: one for one in tables}
