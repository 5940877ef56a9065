"""Is a store whole? Findings, each about one thing, from one snapshot.

It decides what whole means: pages and indexes that fit each other (SQLite looks itself; a server looks after its own),
the tables of this version, every number that was given out is an event or part of an erasure, no id twice, numbers that
are numbers, and JSON that is JSON. If the catalog is given, it tells how many items only events name, which is fine: an
item may be described after its events.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Connection, Table, Text, func, inspect, select, text, type_coerce

from recollect.errors import SystemFailure
from recollect.service.store import Store
from recollect.service.tables import ERASED, EVENTS, ITEMS, KEYS, META, METADATA, OUTCOMES, REQUESTS, USERS, JsonText

_LARGEST: Final = 1.7976931348623157e308
_SHOWN: Final = 3
_ROWS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: about what, whether it is fine, and the facts."""

    subject: str
    fine: bool
    detail: str


def check(store: Store, *, catalog: Collection[str] | None = None) -> tuple[Finding, ...]:
    """Look whether a store is whole; it may be in use.

    Parameters
    ----------
    store : Store
        What is looked at.
    catalog : collection of str, optional
        Ids of the imported items; without them it is not known which items only events name.

    Returns
    -------
    tuple of Finding
        One for each thing that was looked at; the store is whole if all are fine.

    Raises
    ------
    SystemFailure
        If the store cannot be reached.
    """
    looks: list[tuple[str, Callable[[Connection], Finding]]] = [
        ("pages", _pages),
        ("tables", _tables),
        ("sequence", _sequence),
        ("ids", _ids),
        ("values", _values),
        ("texts", _texts),
    ]
    if catalog is not None:
        looks.append(("items", lambda connection: _items(connection, catalog)))
    return tuple(_look(store, subject, look) for subject, look in looks)


def _look(store: Store, subject: str, look: Callable[[Connection], Finding]) -> Finding:
    """Take one look; what cannot be read is a finding too."""
    try:
        with store.database.snapshot() as connection:
            return look(connection)
    except SystemFailure as error:
        return Finding(subject, fine=False, detail=str(error))


def _pages(connection: Connection) -> Finding:
    if connection.dialect.name != "sqlite":
        return Finding("pages", fine=True, detail="looked after by the server")
    said = list(connection.execute(text("PRAGMA integrity_check")).scalars())
    return Finding("pages", fine=said == ["ok"], detail="; ".join(said[:_SHOWN]))


def _tables(connection: Connection) -> Finding:
    there = inspect(connection)
    names = set(there.get_table_names())
    columns = {name: {column["name"] for column in there.get_columns(name)} for name in names & set(METADATA.tables)}
    wrong = [name for name, table in METADATA.tables.items() if columns.get(name) != set(table.c.keys())]
    detail = f"missing or different: {', '.join(wrong)}" if wrong else f"{len(METADATA.tables)} as they should be"
    return Finding("tables", fine=not wrong, detail=detail)


def _sequence(connection: Connection) -> Finding:
    given = int(connection.execute(select(META.c.value).where(META.c.key == "last_seq")).scalar_one())
    count, first, last = connection.execute(
        select(func.count(), func.coalesce(func.min(EVENTS.c.seq), 1), func.coalesce(func.max(EVENTS.c.seq), 0))
    ).one()
    erased = int(connection.execute(select(func.coalesce(func.sum(ERASED.c.events), 0))).scalar_one())
    fine = count + erased == given and first >= 1 and last <= given
    return Finding("sequence", fine=fine, detail=f"{given} numbers given out, {count} events, {erased} erased")


def _ids(connection: Connection) -> Finding:
    twice = [
        f"{table.name}: {identity!r}"
        for table in (EVENTS, ITEMS, USERS, REQUESTS, KEYS)
        for identity in connection.execute(
            select(table.c.id).group_by(table.c.id).having(func.count() > 1).limit(_SHOWN)
        ).scalars()
    ]
    return Finding("ids", fine=not twice, detail=f"twice: {'; '.join(twice)}" if twice else "each once")


def _values(connection: Connection) -> Finding:
    # PostgreSQL takes NaN for the largest of all numbers, SQLite cannot hold it.
    strange = func.abs(EVENTS.c.value) > _LARGEST
    values = connection.execute(select(func.count()).select_from(EVENTS).where(strange)).scalar_one()
    counts = connection.execute(select(func.count()).select_from(OUTCOMES).where(OUTCOMES.c.count < 0)).scalar_one()
    detail = f"{values} values and {counts} counts that are no numbers of theirs"
    return Finding("values", fine=not values + counts, detail=detail if values + counts else "all numbers")


def _texts(connection: Connection) -> Finding:
    columns = [(table, column) for table in METADATA.sorted_tables for column in table.c if _is_json(column)]
    wrong = [place for table, column in columns for place in _wrong_json(connection, table, column)]
    detail = f"no JSON: {'; '.join(wrong[:_SHOWN])}" if wrong else "all JSON"
    return Finding("texts", fine=not wrong, detail=detail)


def _is_json(column: Column[object]) -> bool:
    return isinstance(column.type, JsonText)


def _wrong_json(connection: Connection, table: Table, column: Column[object]) -> Iterator[str]:
    asked = select(table.c.number, type_coerce(column, Text)).execution_options(yield_per=_ROWS)
    for number, written in connection.execute(asked):
        if not JsonText.can_read(written):
            yield f"{table.name} {number}, {column.name}"


def _items(connection: Connection, catalog: Collection[str]) -> Finding:
    known = set(connection.execute(select(ITEMS.c.id)).scalars())
    met = connection.execute(select(EVENTS.c.item).distinct()).scalars()
    named = sum(item not in known and item not in catalog for item in met)
    return Finding("items", fine=True, detail=f"{named} named only by events" if named else "all described")
