"""What a study found: the value that becomes a table, a JSON document and a page.

It decides that a *point* is one series at one place, averaged over seeds, with the values of each seed beside it; and
that a *contrast* is a sum and difference of points with the interval of the paired user bootstrap. Undefined numbers
are null. Reading back what was written gives an equal value.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from recollect.errors import DataError
from recollect.evaluation.result import Entry, Gap, Number


class Point(Entry):
    """One series at one place: means over seeds, intervals by user bootstrap of that mean, and what it cost."""

    series: str
    place: str
    floor: bool
    seeds: list[int]
    by_seed: dict[str, list[Number]]
    milliseconds_per_row: float
    tokens_per_row: float | None
    tuning_rows: float | None = None
    tuning_seconds: float | None = None
    tuning_tokens: float | None = None
    tuning_flops: float | None = None


class Contrast(BaseModel):
    """A difference between points, per metric: what is compared, of which kind, with interval and p."""

    model_config = ConfigDict(frozen=True)

    kind: str
    name: str
    gaps: dict[str, Gap]
    note: str = ""


class StudyResult(BaseModel):
    """A study as it is written to `study.json`."""

    model_config = ConfigDict(frozen=True)

    study: str
    title: str
    asks: str
    axis: str
    facts: dict[str, str]
    points: list[Point]
    contrasts: list[Contrast]
    notes: list[str] = []

    def to_json(self) -> dict[str, Any]:
        """Give the JSON document."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what was written from `to_json`.

        Raises
        ------
        DataError
            If the text is no study.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            raise DataError(
                "this is not a study",
                got=f"{'.'.join(map(str, first['loc'])) or 'the text'}: {first['msg']}",
                expected="the study.json of `recollect study`",
                do="run the study again; what it has computed is kept",
            ) from error

    @property
    def series(self) -> list[str]:
        """Names of the series: what the study is about first, then the floors."""
        ordered = sorted(self.points, key=lambda point: point.floor)
        return list(dict.fromkeys(point.series for point in ordered))

    @property
    def places(self) -> list[str]:
        """Names of the places, in the order asked."""
        return list(dict.fromkeys(point.place for point in self.points))

    def at(self, series: str, place: str) -> Point | None:
        """Find a point; None where the study has none."""
        return next((one for one in self.points if (one.series, one.place) == (series, place)), None)
