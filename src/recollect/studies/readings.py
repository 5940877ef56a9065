"""Readings: answers averaged over seeds, and their differences by the paired user bootstrap.

It decides: the draws of one set of rows are the same whatever was answered, since their seed is made from the rows; so
points on the same rows are paired, and points on different rows (two test periods) are independent, which makes their
interval rather wider than narrower. With several seeds the mean over seeds is compared: in each draw of users the
metric is averaged over seeds. Intervals are those of the users asked; the spread over seeds stands beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from recollect.evaluation.bootstrap import DRAWS, METRICS, Draws, difference
from recollect.evaluation.compare import Judged, judge
from recollect.evaluation.metrics import Metrics
from recollect.evaluation.result import Gap, finite
from recollect.studies.grid import Answer
from recollect.studies.keys import key_of
from recollect.studies.result import Contrast, Point

Key = tuple[str, str]
"""Series and place of a point."""


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """One series at one place: the answers of all seeds, and their means."""

    answers: tuple[Answer, ...]
    by_seed: tuple[Metrics, ...]
    mean: dict[str, float]
    draws: Draws

    def point(self) -> Point:
        """Give the point that is written down."""
        first = self.answers[0]
        return Point.model_validate(
            {
                "series": first.cell.series,
                "place": first.cell.place,
                "floor": first.cell.floor,
                **self.mean,
                "uauc_users": self.by_seed[0].uauc_users,
                "rows": self.by_seed[0].rows,
                "intervals": {metric: tuple(self.draws.interval(metric)) for metric in METRICS},
                "seeds": [answer.cell.seed for answer in self.answers],
                "by_seed": {metric: [getattr(one, metric) for one in self.by_seed] for metric in METRICS},
                **self._costs(),
            }
        )

    def _costs(self) -> dict[str, float | None]:
        """Give what answering and tuning took, means over seeds."""
        records = [answer.record for answer in self.answers]
        tuning = [record.tuning for record in records if record.tuning is not None]
        answering = ("seconds", "milliseconds_per_row", "tokens_per_row")
        return {name: _mean(getattr(record, name) for record in records) for name in answering} | {
            f"tuning_{name}": _mean(getattr(one, name) for one in tuning)
            for name in ("rows", "seconds", "tokens", "flops")
        }


class Readings:
    """All points of a study, to be read and compared."""

    def __init__(self, readings: dict[Key, Reading]) -> None:
        self.readings = readings

    @classmethod
    def of(cls, answers: Iterable[Answer], *, draws: int = DRAWS) -> Self:
        """Measure the answers; those of one series and place are seeds of one point.

        Raises
        ------
        DataError
            When an answer holds no row.
        """
        judged: dict[str, Judged] = {}
        grouped: dict[Key, list[Answer]] = {}
        for answer in answers:
            grouped.setdefault((answer.cell.series, answer.cell.place), []).append(answer)
            if answer.key not in judged:
                judged[answer.key] = judge(answer.predictions, seed=_seed_of(answer), draws=draws)
        return cls({key: _averaged(of, [judged[one.key] for one in of]) for key, of in grouped.items()})

    def points(self) -> list[Point]:
        """Give every point, in the order asked."""
        return [reading.point() for reading in self.readings.values()]

    def places(self, series: str) -> list[str]:
        """Name the places of a series, in the order asked."""
        return [place for name, place in self.readings if name == series]

    def contrast(self, kind: str, name: str, *, plus: Sequence[Key], minus: Sequence[Key], note: str = "") -> Contrast:
        """Compare: the sum of some points less the sum of others.

        Raises
        ------
        KeyError
            If there is no such point.
        """
        sums, draws = zip(*(self._sum(side) for side in (plus, minus)), strict=True)
        gaps = {
            metric: Gap.of(difference(*draws, metric=metric, value=sums[0][metric] - sums[1][metric]))
            for metric in METRICS
        }
        return Contrast(kind=kind, name=name, gaps=gaps, note=note)

    def versus(self, first: str, second: str) -> list[Contrast]:
        """Compare two series at every place that both have."""
        shared = [place for place in self.places(first) if (second, place) in self.readings]
        return [
            self.contrast(
                "between methods", f"{first} − {second}, {place}", plus=[(first, place)], minus=[(second, place)]
            )
            for place in shared
        ]

    def changes(self, series: str) -> list[Contrast]:
        """Compare every later place of a series with its first one."""
        first, *later = self.places(series)
        return [
            self.contrast(
                "within a method", f"{series}: {place} − {first}", plus=[(series, place)], minus=[(series, first)]
            )
            for place in later
        ]

    def _sum(self, keys: Sequence[Key]) -> tuple[dict[str, float], Draws]:
        parts = [self.readings[key] for key in keys]
        return (
            {metric: sum(part.mean[metric] for part in parts) for metric in METRICS},
            Draws({metric: np.sum([part.draws.values[metric] for part in parts], axis=0) for metric in METRICS}),
        )


def _averaged(answers: Sequence[Answer], judged: Sequence[Judged]) -> Reading:
    by_seed = tuple(one.metrics for one in judged)
    return Reading(
        answers=tuple(answers),
        by_seed=by_seed,
        mean={metric: float(np.mean([getattr(one, metric) for one in by_seed])) for metric in METRICS},
        draws=Draws({metric: np.mean([one.draws.values[metric] for one in judged], axis=0) for metric in METRICS}),
    )


def _seed_of(answer: Answer) -> int:
    """Make the seed of the draws from the rows: equal rows are drawn alike."""
    return int(key_of(answer.predictions.rows), 16)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return finite(float(np.mean(known))) if known else None
