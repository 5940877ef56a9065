"""The evaluation of one run: what `evaluate --json` prints, `metrics.json` keeps and the report shows.

Decides: one flat JSON object for the run itself (`auc`, `uauc`, `uauc_users`, `log_loss`, `ece`, `rows`, `seconds`,
`intervals`), the same keys for every floor and for the run without the user's events, metrics per slice, and paired
differences "run minus other". A metric that is undefined (an AUC without both labels) is null, never NaN: the text is
valid JSON for every reader. Reading back what was written gives an equal value.

Source: issue "First light", `evaluate --json`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from recollect.errors import DataError
from recollect.evaluation.bootstrap import METRICS, Difference, Interval
from recollect.evaluation.metrics import Metrics

TITLES = {"auc": "AUC", "uauc": "UAUC", "log_loss": "log loss", "ece": "ECE"}
"""How tables and plots call each metric."""

HIGHER_IS_BETTER = {"auc": True, "uauc": True, "log_loss": False, "ece": False}

RUN = "recollect"
WITHOUT_EVENTS = "recollect without events"


def finite(value: float | None) -> float | None:
    """Turn a number that JSON cannot write (NaN, infinity) into None: it is undefined."""
    return value if value is not None and math.isfinite(value) else None


Number = Annotated[float | None, AfterValidator(finite)]
"""A number, or None where it is undefined."""


class Entry(BaseModel):
    """The metrics of one scorer on the evaluated rows, with 95 % intervals and the seconds that scoring took."""

    model_config = ConfigDict(frozen=True)

    auc: Number
    uauc: Number
    uauc_users: int = Field(ge=0)
    log_loss: Number
    ece: Number
    rows: int = Field(ge=1)
    seconds: float = Field(ge=0)
    intervals: dict[str, tuple[Number, Number]]

    @classmethod
    def of(cls, metrics: Metrics, intervals: Mapping[str, Interval], *, seconds: float) -> Self:
        """Build an entry from measured values."""
        return cls.model_validate(
            {
                **{name: getattr(metrics, name) for name in (*METRICS, "uauc_users", "rows")},
                "seconds": seconds,
                "intervals": {name: tuple(interval) for name, interval in intervals.items()},
            }
        )


class SliceEntry(BaseModel):
    """The metrics of the run, and the AUC of the others, on a part of the evaluated rows."""

    model_config = ConfigDict(frozen=True)

    name: str
    rows: int
    auc: Number
    uauc: Number
    uauc_users: int
    log_loss: Number
    ece: Number
    auc_interval: tuple[Number, Number]
    others: dict[str, Number] = {}


class Gap(BaseModel):
    """How far the run lies from another scorer in one metric: run minus other, 95 % interval, two-sided p."""

    model_config = ConfigDict(frozen=True)

    value: Number
    low: Number
    high: Number
    p: Number

    @classmethod
    def of(cls, difference: Difference) -> Self:
        """Build a gap from a paired difference."""
        return cls(value=difference.value, low=difference.low, high=difference.high, p=difference.p)


class Evaluation(Entry):
    """One run, judged on one part of one data set, beside the floors."""

    run: str
    protocol: str
    part: str
    floors: dict[str, Entry]
    without_events: Entry | None = None
    slices: dict[str, list[SliceEntry]] = {}
    paired: dict[str, dict[str, Gap]] = {}

    def to_json(self) -> dict[str, Any]:
        """Give the JSON document: objects, lists, numbers, text and null only, keys in a fixed order."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | str) -> Self:
        """Read what `to_json` gave, as a document or as its text.

        Raises
        ------
        DataError
            When the text is not JSON, or not an evaluation.
        """
        try:
            if isinstance(document, str):
                return cls.model_validate_json(document)
            return cls.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the text"
            raise DataError(
                "this is not an evaluation",
                got=f"{where}: {first['msg']}",
                expected="the JSON of `recollect evaluate --json`",
                do="run `recollect evaluate RUN DATA --json` again",
            ) from error

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Give every judged scorer by name: the floors, the run without events, the run itself."""
        yield from self.floors.items()
        if self.without_events is not None:
            yield WITHOUT_EVENTS, self.without_events
        yield RUN, self


class Cell(NamedTuple):
    """One metric of one scorer, ready to print: value, interval, and whether no scorer has a better value."""

    metric: str
    value: str
    interval: str
    best: bool


class TableRow(NamedTuple):
    """One line of the headline table; `coverage` is the number of users in UAUC."""

    name: str
    cells: tuple[Cell, ...]
    coverage: int
    is_run: bool


def table(evaluation: Evaluation) -> list[TableRow]:
    """Give the headline table, floors first, as text cells for a terminal and for a page alike."""
    entries = list(evaluation.entries())
    best = {metric: _best(metric, [getattr(entry, metric) for _, entry in entries]) for metric in METRICS}
    return [
        TableRow(
            name,
            tuple(_cell(metric, entry, best=best[metric]) for metric in METRICS),
            entry.uauc_users,
            entry is evaluation,
        )
        for name, entry in entries
    ]


def _best(metric: str, values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return max(known) if HIGHER_IS_BETTER[metric] else min(known)


def _cell(metric: str, entry: Entry, *, best: float | None) -> Cell:
    value: float | None = getattr(entry, metric)
    low, high = entry.intervals.get(metric, (None, None))
    interval = "" if low is None or high is None else f"{decimals(low)} – {decimals(high)}"
    return Cell(metric, decimals(value), interval, value is not None and value == best)


def decimals(value: float | None, *, sign: bool = False) -> str:
    """Write a metric with four decimals and no leading zero, as tables of this field do; a dash if undefined.

    Examples
    --------
    >>> decimals(0.7352), decimals(-0.01), decimals(1.0), decimals(0.01, sign=True), decimals(None)
    ('.7352', '-.0100', '1.0000', '+.0100', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if round(abs(value), 4) >= 1:
        return f"{value:.4f}"
    text = f"{value:+.4f}".replace("0.", ".", 1)
    return text if sign else text.removeprefix("+")
