"""The import: from a plan to a dataset with its facts.

It decides what happens to doubles. A row that repeats user, item, time and value is dropped. A further event of a
(user, item) pair is dropped too where events carry a value, since the pair's first answer would stand in the prompt
for its second (spec `recicl`, hazards); in logs of bare clicks, where repeats are the point, it is kept. Both are
counted. And it decides the label rule where neither the format nor the caller names one: by the range of the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from jaxtyping import Float32, Int64

from recollect.data.catalog import Users
from recollect.data.dataset import Dataset
from recollect.data.facts import Facts
from recollect.data.labels import LabelRule
from recollect.data.log import EventLog
from recollect.data.order import stable_order
from recollect.data.readers.collect import Collected, collect
from recollect.data.readers.complaints import Complaints
from recollect.data.readers.plan import Plan
from recollect.data.readers.texts import build_catalog, build_users, no_texts
from recollect.errors import DataError, UsageError

Repeats = Literal["first", "all"]
_STARS = ((1.0, 1.0), (5.0, 4.0), (10.0, 8.0))  # values up to so much: a like from so much on


@dataclass(frozen=True, slots=True)
class Doubles:
    """Say which rows of a log to keep, and how many are exact duplicates and further events of a pair."""

    keep: Int64[np.ndarray, "K"]
    duplicates: int
    repeats: int


def take_in(
    plan: Plan, *, source: str, like: str | None, complaints: Complaints, repeats: Repeats | None = None
) -> Dataset:
    """Import what a plan describes.

    Parameters
    ----------
    plan : Plan
        Files and columns.
    source : str
        Name of the source, for the facts.
    like : str, optional
        A label rule that replaces the format's own.
    complaints : Complaints
        Where bad rows go; it knows whether the import is strict.
    repeats : {"first", "all"}, optional
        What to keep of several events of one (user, item) pair; by default "first" if events carry a value.

    Raises
    ------
    BadRow
        If the import is strict and a row is bad.
    DataError
        If no row is usable.
    UsageError
        If the label rule is wrong, or none is given and the values do not show one.
    """
    item_texts = plan.items.read(complaints) if plan.items else None
    attributes = plan.users.read(complaints) if plan.users else None
    collected = collect(plan, complaints, users=_ids(attributes), items=_ids(item_texts))
    _require_rows(plan, collected, complaints)
    rule = _rule(plan, like, collected.columns["value"])
    policy = repeats or ("first" if "value" in plan.columns else "all")
    everything = _log(collected, rule)
    doubles = find_doubles(everything, policy)
    log = everything if len(doubles.keep) == len(everything) else everything.take(doubles.keep)
    texts = [some for some in (item_texts, collected.texts) if some is not None] or [no_texts()]
    catalog, untitled = build_catalog(
        collected.item_ids, pl.concat(texts).unique("id", keep="first", maintain_order=True)
    )
    users = Users(collected.user_ids) if attributes is None else build_users(collected.user_ids, attributes)
    facts = Facts(
        source=source,
        format=plan.format,
        encoding=_encodings(plan),
        rule=str(rule),
        rows_read=collected.rows_read,
        rows_bad=complaints.counts.get(plan.events.path.name, 0),
        bad=tuple(complaints.first),
        duplicates=doubles.duplicates,
        repeats=doubles.repeats,
        repeats_kept=policy == "all",
        untitled=untitled,
        notes=_notes(plan, collected, complaints, log=log, guessed=None if like or plan.rule else rule),
        **_counts(log),
    )
    return Dataset(log, catalog, users, facts)


def find_doubles(log: EventLog, policy: Repeats) -> Doubles:
    """Find events that repeat another, and choose what to keep.

    Parameters
    ----------
    log : EventLog
        N events.
    policy : {"first", "all"}
        Keep the first event of each (user, item) pair, or all that are not exact duplicates.
    """
    by_pair = stable_order(log.user, log.item)
    user, item = log.user[by_pair], log.item[by_pair]
    further = by_pair[1:][(user[1:] == user[:-1]) & (item[1:] == item[:-1])]
    if len(further) == 0:
        return Doubles(np.arange(len(log)), 0, 0)
    # Copies share their instant, so in the order of the log they stand in one run of equal (time, user, item).
    same = (np.diff(log.time) == 0) & (np.diff(log.user) == 0) & (np.diff(log.item) == 0)
    rows = np.flatnonzero(np.append(same, False) | np.append(False, same))
    run = np.cumsum(np.append(True, ~same))[rows]
    seen = pl.DataFrame({"run": run, "value": log.value[rows]}).select(pl.struct(pl.all()).is_first_distinct())
    copies = rows[~seen.to_series().to_numpy()]
    keep = np.delete(np.arange(len(log)), further if policy == "first" else copies)
    return Doubles(keep, duplicates=len(copies), repeats=len(further) - len(copies))


def rule_for(column: str, values: Float32[np.ndarray, "N"]) -> LabelRule:
    """Guess the label rule from the range of the values: 1 of 0/1, 4 of 5, 8 of 10 and more are likes.

    Raises
    ------
    UsageError
        If the values are of no such range.
    """
    low, high = float(values.min()), float(values.max())
    least = next((like for top, like in _STARS if low >= 0 and high <= top), None)
    if least is None or (least == 1 and not np.isin(values, (0, 1)).all()):
        raise UsageError(
            "values that do not show what a like is",
            got=f"{column} from {low:g} to {high:g}",
            expected="0/1, up to 5, or up to 10",
            do=f'say it, for example --like "{column}>={high:g}"',
        )
    return LabelRule(column, ">=", least)


def _rule(plan: Plan, like: str | None, values: np.ndarray) -> LabelRule:
    column = plan.columns.get("value", "value")
    text = like or plan.rule
    if text is None:
        return rule_for(column, values)
    rule = LabelRule.parse(text)
    if rule.column not in {column, "value"}:
        raise UsageError(
            "a label rule about another column",
            got=str(rule),
            expected=f"a rule about {column}",
            do=f'write it like "{column}{rule.comparison}{rule.threshold:g}"',
        )
    return rule


def _log(collected: Collected, rule: LabelRule) -> EventLog:
    return EventLog.sorted(
        **collected.columns,
        label=rule(collected.columns["value"]),
        user_count=len(collected.user_ids),
        item_count=len(collected.item_ids),
        kinds=collected.kinds,
    )


def _ids(table: pl.DataFrame | None) -> pl.Series | None:
    return None if table is None else table["id"]


def _counts(log: EventLog) -> dict[str, Any]:
    """Return the facts that the log itself shows."""
    return {
        "rows_kept": len(log),
        "users": log.user_count,
        "items": log.item_count,
        "silent_users": int((np.bincount(log.user, minlength=log.user_count) == 0).sum()),
        "silent_items": int((np.bincount(log.item, minlength=log.item_count) == 0).sum()),
        "first_time": int(log.time[0]),
        "last_time": int(log.time[-1]),
        "like_share": float(log.label.mean()),
    }


def _encodings(plan: Plan) -> str:
    sides = [side.table for side in (plan.items, plan.users) if side is not None]
    others = [f"{table.encoding} in {table.path.name}" for table in sides if table.encoding != plan.events.encoding]
    return ", ".join([plan.events.encoding, *others])


def _notes(
    plan: Plan, collected: Collected, complaints: Complaints, *, log: EventLog, guessed: LabelRule | None
) -> tuple[str, ...]:
    skipped = {file: count for file, count in complaints.counts.items() if file != plan.events.path.name}
    notes = [f"{count:,} bad rows of {file} skipped" for file, count in skipped.items()]
    if collected.milliseconds:
        notes.append("times were in milliseconds")
    if guessed is not None:
        notes.append(f"the label rule {guessed} was chosen by the range of the values; --like says another")
    if log.label.all() or not log.label.any():
        notes.append("all labels are the same: nothing can be learnt or measured from them")
    return tuple(notes)


def _require_rows(plan: Plan, collected: Collected, complaints: Complaints) -> None:
    if len(collected.columns.get("user", ())):
        return
    first = f", the first: {complaints.first[0]}" if complaints.first else ""
    raise DataError(
        f"no usable row in {plan.events.path.name}",
        got=f"{collected.rows_read} rows{first}",
        expected="rows with user, item and time",
        do="look at the file, or name its format with --format",
    )
