"""The demonstration report: what each solved example of a person does to the known answers, and what all of them do.

What it is: effects of all candidates of a `Pool`, each with its standard error, its part of the whole, what it costs
and what it repeats, and a verdict; and the same for the whole set, with warnings. It decides:

- *helps* and *harmful?* take an effect above `NOISE` whose 95 % interval by Student's t leaves out 0, since few queries
  see a candidate; the question mark stays, since where truth was known dropping by sign was wrong about as often as
  right (spec `lrgd`, section 9);
- *redundant* is one that adds to the heads what another of larger effect adds too, unless it seems harmful;
- a candidate that no support query may see was not measured: no effect and no verdict, rather than an effect of 0;
- effects of candidates are means over the queries that saw them; their parts of the whole are means over all queries,
  so that they sum to it.

Source: spec `lrgd`, sections 3.4 and 10. Dimension letters as in `recollect.context.effects`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Bool, Float64
from scipy.stats import t as student

from recollect.context.effect_readings import POINTS, Readings, take_readings
from recollect.context.effect_set import NOISE, SetLine, describe_set
from recollect.context.effects import DemonstrationMeasure, Pool, Score, score
from recollect.data.catalog import Catalog

Verdict = Literal["helps", "neutral", "harmful?", "redundant"]

_CONFIDENCE: Final = 0.95
_SAME: Final = 0.95  # overlap from which two candidates add the same


@dataclass(frozen=True, slots=True)
class DemonstrationLine:
    """Say what one candidate does; effects in nats, positive ones help, None where it was not measured.

    Parameters
    ----------
    event : int
        Its place in the person's timeline.
    item, title : str
        Id and title.
    liked : bool
        The answer that it shows.
    time : int
        Unix seconds.
    shown : bool or None
        Whether a question of now shows it; None where that depends on the item asked.
    tokens : int
        What it costs in a prompt.
    seen : int
        Number of support queries that saw it.
    effect, error : float or None
        Effect among all candidates, and its standard error, which takes two queries.
    per_100_tokens : float or None
        Effect for 100 tokens.
    path, path_share : float or None
        Its part of the effect of the set, and as a share of it; no share where the set does nothing.
    single, leave_one_out : float or None
        Exact: what it brings alone, and what is lost without it; measured on request.
    similar : str or None
        Item of the candidate that adds most nearly the same.
    redundancy : float or None
        Cosine between what the two add.
    helped, hurt : float or None
        Share of the queries that saw it with an effect above `NOISE`, and below minus that.
    attention : float or None
        Share of the attention that it takes, mean over the queries that saw it.
    verdict : {"helps", "neutral", "harmful?", "redundant"} or None
        In a word.
    """

    event: int
    item: str
    title: str
    liked: bool
    time: int
    shown: bool | None
    tokens: int
    seen: int
    effect: float | None
    error: float | None
    per_100_tokens: float | None
    path: float | None
    path_share: float | None
    single: float | None
    leave_one_out: float | None
    similar: str | None
    redundancy: float | None
    helped: float | None
    hurt: float | None
    attention: float | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class DemonstrationReport:
    """Hold what was found of a person's candidates: each of them, oldest first, all together, and warnings."""

    lines: tuple[DemonstrationLine, ...]
    whole: SetLine
    warnings: tuple[str, ...]

    def to_json(self, top: int = 0) -> dict[str, Any]:
        """Give the JSON document, with the `top` strongest candidates alone, or with all of them if it is 0."""
        lines = [asdict(line) for line in (self.strongest(top) if top else self.lines)]
        return {"set": asdict(self.whole), "demonstrations": lines, "warnings": list(self.warnings)}

    def strongest(self, count: int) -> tuple[DemonstrationLine, ...]:
        """Return the measured candidates of largest effect, up or down, best first."""
        measured = sorted(
            (-abs(line.effect), place) for place, line in enumerate(self.lines) if line.effect is not None
        )
        chosen = [self.lines[place] for _, place in measured[:count]]
        return tuple(sorted(chosen, key=lambda line: -(line.effect or 0.0)))


def report_demonstrations(
    measure: DemonstrationMeasure,
    pool: Pool,
    catalog: Catalog,
    *,
    shown: Collection[int] | None = None,
    exact: bool = False,
    points: int = POINTS,
) -> DemonstrationReport:
    """Measure all candidates of a person, each and together.

    Parameters
    ----------
    measure : DemonstrationMeasure
        The model.
    pool : Pool
        Candidates and support queries.
    catalog : Catalog
        Ids and titles.
    shown : collection of int, optional
        Places of the events that a question of now shows; None where that depends on the item asked.
    exact : bool
        Whether to measure each candidate alone and left out too: a pass for each.
    points : int
        Points of the path integral.
    """
    readings = take_readings(measure, pool, exact=exact, points=points)
    tokens = measure.tokens(pool)
    whole, warnings = describe_set(pool, readings, tokens=int(tokens.sum()))
    mean = score(pool, readings.effects.effect)
    columns = _columns(pool, readings, mean) | {"per_100_tokens": 100 * mean.mean / tokens}
    overlap = _others(readings.effects.overlap, seen=mean.seen > 0)
    nearest: list[int] = overlap.argmax(axis=1).tolist()
    columns["redundancy"] = overlap.max(axis=1)
    verdicts = _verdicts(mean, readings.effects.overlap)
    items: list[int] = pool.line.items[pool.demonstrations].tolist()
    lines = [
        DemonstrationLine(
            event=event,
            item=catalog.ids[item],
            title=catalog.titles[item],
            liked=bool(pool.line.labels[event]),
            time=int(pool.line.times[event]),
            shown=None if shown is None else event in shown,
            tokens=int(tokens[number]),
            seen=int(mean.seen[number]),
            similar=catalog.ids[items[nearest[number]]] if np.isfinite(columns["redundancy"][number]) else None,
            verdict=verdicts[number],
            **{name: _number(column[number], seen=int(mean.seen[number])) for name, column in columns.items()},
        )
        for number, (event, item) in enumerate(zip(pool.demonstrations.tolist(), items, strict=True))
    ]
    return DemonstrationReport(tuple(lines), whole, warnings)


def _columns(pool: Pool, readings: Readings, mean: Score) -> dict[str, Float64[np.ndarray, " N"]]:
    """Compute what is said of each candidate as a number; not-a-number where it is not defined."""
    found, absent = readings.effects, np.full(len(pool), np.nan)
    path = pool.weights @ readings.path
    seen = np.maximum(mean.seen, 1)
    exact = {"single": readings.single, "leave_one_out": readings.leave_one_out}
    return {
        "effect": mean.mean,
        "error": mean.error,
        "path": path,
        "path_share": path / path.sum() if abs(path.sum()) > NOISE else absent,
        "helped": ((found.effect > NOISE) & pool.visible).sum(axis=0) / seen,
        "hurt": ((found.effect < -NOISE) & pool.visible).sum(axis=0) / seen,
        "attention": score(pool, found.share).mean,
        **{name: absent if rows is None else score(pool, rows).mean for name, rows in exact.items()},
    }


def _verdicts(mean: Score, overlap: Float64[np.ndarray, "N N"]) -> list[Verdict | None]:
    """Judge each candidate."""
    clear: Bool[np.ndarray, " N"] = np.abs(mean.mean) > np.maximum(_half_width(mean), NOISE)
    order = np.lexsort((np.arange(len(mean.mean)), mean.mean))  # of equal effects the later one counts as larger
    rank = np.argsort(order)
    better = (rank[None, :] > rank[:, None]) & (mean.seen > 0)[None, :]
    repeats: list[bool] = np.any((overlap >= _SAME) & better, axis=1).tolist()

    def verdict(number: int) -> Verdict | None:
        if not mean.seen[number]:
            return None
        if clear[number] and mean.mean[number] < 0:
            return "harmful?"
        if repeats[number]:
            return "redundant"
        return "helps" if clear[number] else "neutral"

    return [verdict(number) for number in range(len(mean.mean))]


def _half_width(mean: Score) -> Float64[np.ndarray, " N"]:
    """Return half of each effect's 95 % interval; infinite below two queries."""
    rows = np.maximum(mean.seen, 2)
    quantile = student.ppf((1 + _CONFIDENCE) / 2, rows - 1)
    return mean.error * quantile * np.sqrt(rows / (rows - 1))


def _others(overlap: Float64[np.ndarray, "N N"], *, seen: Bool[np.ndarray, " N"]) -> Float64[np.ndarray, "N N"]:
    """Leave the overlaps of measured candidates with each other; minus infinity elsewhere."""
    compared = seen[:, None] & seen[None, :] & ~np.eye(len(overlap), dtype=np.bool_)
    return np.where(compared, overlap, -np.inf)


def _number(value: float, *, seen: int) -> float | None:
    """Return a number, None where it is undefined or nobody saw the candidate."""
    return float(value) if seen and np.isfinite(value) else None
