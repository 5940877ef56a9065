"""The event log: everything that happened, in columns, append-only.

It decides one order for the whole project: (time, user, item, order of arrival). Every row number in recollect is a
position in this order; codes of users and items follow their ids, so the order is the one of the ReLLa protocol
(spec `rella`, section 2). Columns are read-only arrays: a log changes by `append`, which returns a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int16, Int32, Int64

from recollect.data.order import stable_order
from recollect.errors import DataError

UNKNOWN = -1  # in the optional columns: this event has none
TRAIN, VALID, TEST = 0, 1, 2  # values of `part`
_BLOCK = 1 << 20  # rows that are checked at once, so that checking takes no memory of the size of the log


@dataclass(frozen=True, eq=False, slots=True)
class EventLog:
    """Hold N events in (time, user, item, arrival) order; ``len(log)`` is N.

    Parameters
    ----------
    user, item : Int32[N]
        Codes, 0..user_count-1 and 0..item_count-1.
    time : Int64[N]
        Unix seconds.
    value : Float32[N]
        The feedback as given (stars, 0/1, 1 for a bare click).
    label : Bool[N]
        Whether the event is a like.
    kind : Int16[N], optional
        Type of the event, an index into `kinds`; -1 if unknown.
    session : Int64[N], optional
        Number of the session; -1 if unknown.
    part : Int8[N], optional
        The part the source put it in: 0 train, 1 valid, 2 test; -1 if unknown.
    user_count, item_count : int
        U and I: how many codes exist, also those without an event.
    kinds : tuple of str
        Names of the types.

    Raises
    ------
    DataError
        If lengths differ, a code is out of range, a value is not finite, or the order does not hold.
    """

    user: Int32[np.ndarray, "N"]
    item: Int32[np.ndarray, "N"]
    time: Int64[np.ndarray, "N"]
    value: Float32[np.ndarray, "N"]
    label: Bool[np.ndarray, "N"]
    user_count: int
    item_count: int
    kind: Int16[np.ndarray, "N"] | None = None
    session: Int64[np.ndarray, "N"] | None = None
    part: Int8[np.ndarray, "N"] | None = None
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, column in self.columns().items():
            if column.shape != self.user.shape:
                raise _fault(f"column {name} has another length", got=column.shape, expected=str(self.user.shape))
            view = column.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        _check_codes("user", self.user, self.user_count)
        _check_codes("item", self.item, self.item_count)
        if not bool(np.isfinite(self.value).all()):
            raise _fault("a value is not a finite number", got="nan or infinity", expected="finite values")
        wrong = _first_disorder(self)
        if wrong is not None:
            raise _fault(
                "events are not in (time, user, item) order", got=f"row {wrong} before its place", expected="that order"
            )

    def __len__(self) -> int:
        return len(self.user)

    @classmethod
    def sorted(cls, **columns: Any) -> EventLog:
        """Build a log from columns in any order; equal events keep the order in which they come.

        Parameters
        ----------
        **columns
            The fields of `EventLog` by name.

        Raises
        ------
        DataError
            As the class does.
        """
        order = stable_order(columns["time"], columns["user"], columns["item"])
        for name, column in columns.items():
            if isinstance(column, np.ndarray):
                columns[name] = column[order]
        return cls(**columns)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns that are present, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: column for name, column in named.items() if isinstance(column, np.ndarray)}

    def take(self, rows: Int64[np.ndarray, "K"]) -> EventLog:
        """Return the log of some rows, given in ascending order; counts of users and items stay.

        Rows that follow each other without a gap are a view of this log, not a copy.

        Raises
        ------
        DataError
            If the rows are not in ascending order, so that their events would not be either.
        """
        chosen = slice(int(rows[0]), int(rows[-1]) + 1) if _is_run(rows) else rows
        return EventLog(
            **{name: column[chosen] for name, column in self.columns().items()},
            user_count=self.user_count,
            item_count=self.item_count,
            kinds=self.kinds,
        )

    def before(self, time: int) -> EventLog:
        """Return the events strictly earlier than a time in unix seconds."""
        end = int(np.searchsorted(self.time, time, side="left"))
        return self.take(np.arange(end))

    def append(self, events: EventLog) -> EventLog:
        """Return a log with more events; late ones are put where they belong, after what is there already.

        New users and items are allowed: their codes go on from ours, and the counts grow. A column that only one of
        the two has is filled with -1 in the other.

        Raises
        ------
        DataError
            If the two name types of events differently.
        """
        _check_kinds(self.kinds, events.kinds)
        ours, theirs = self.columns(), events.columns()
        joined = {
            name: np.concatenate(
                [_or_unknown(ours, name, example, len(self)), _or_unknown(theirs, name, example, len(events))]
            )
            for name, example in {**ours, **theirs}.items()
        }
        build = EventLog if _follows(self, events) else EventLog.sorted
        return build(
            **joined,
            user_count=max(self.user_count, events.user_count),
            item_count=max(self.item_count, events.item_count),
            kinds=max(self.kinds, events.kinds, key=len),
        )


def _is_run(rows: Int64[np.ndarray, "K"]) -> bool:
    """Tell whether rows follow each other without a gap."""
    as_long = len(rows) > 0 and int(rows[-1]) - int(rows[0]) == len(rows) - 1
    return as_long and int(rows[0]) >= 0 and bool((rows[1:] > rows[:-1]).all())


def _or_unknown(columns: dict[str, np.ndarray], name: str, example: np.ndarray, length: int) -> np.ndarray:
    return columns[name] if name in columns else np.full(length, UNKNOWN, dtype=example.dtype)


def _follows(earlier: EventLog, later: EventLog) -> bool:
    if len(earlier) == 0 or len(later) == 0:
        return True
    last, first = earlier.take(np.arange(len(earlier) - 1, len(earlier))), later.take(np.arange(1))
    return _key(last) <= _key(first)


def _key(one: EventLog) -> tuple[int, int, int]:
    return int(one.time[0]), int(one.user[0]), int(one.item[0])


def _check_codes(name: str, codes: np.ndarray, count: int) -> None:
    if len(codes) and (int(codes.min()) < 0 or int(codes.max()) >= count):
        raise _fault(
            f"a {name} code is out of range", got=f"{codes.min()} to {codes.max()}", expected=f"0 to {count - 1}"
        )


def _check_kinds(ours: tuple[str, ...], theirs: tuple[str, ...]) -> None:
    shared = min(len(ours), len(theirs))
    if ours[:shared] != theirs[:shared]:
        raise _fault("types of events with other names", got=theirs, expected=f"names that begin {ours}")


def _first_disorder(log: EventLog) -> int | None:
    """Return the first row that sorts before the one above it, or None."""
    for start in range(0, len(log), _BLOCK):
        part = slice(start, start + _BLOCK + 1)
        time_step, user_step, item_step = (np.diff(column[part]) for column in (log.time, log.user, log.item))
        wrong = (time_step < 0) | ((time_step == 0) & ((user_step < 0) | ((user_step == 0) & (item_step < 0))))
        if bool(wrong.any()):
            return start + int(np.argmax(wrong)) + 1
    return None


def _fault(what: str, *, got: object, expected: str) -> DataError:
    return DataError(what, got=got, expected=expected, do="build the log with EventLog.sorted from clean columns")
