"""Scoring: candidates behind one trunk, warm and cold, beside the two ways that others would do it.

It decides the sizes of the promises (100 candidates of 24 tokens after 1,024; 20 after 512), that both plain ways
take the best of a few batch sizes, whole prompts scaled from some of them where all would take too long. Where
bfloat16 is slower than float32, both sides of a bfloat16 row compute in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from recollect.bench.cost import Dimensions, cold_cost, expanded_cost, prompts_cost, warm_cost
from recollect.bench.engines import DTYPES, Engine, make_engines, require_agreement
from recollect.bench.jobs import Effort, Job, compare, time_jobs
from recollect.bench.machine import computes_narrow, settler
from recollect.bench.plain import PlainWay
from recollect.bench.questions import ANSWERS, make_question
from recollect.bench.result import Asked, Findings, Row, WayTime
from recollect.bench.sampling import choose_sampling
from recollect.bench.shapes import build_backbone
from recollect.bench.timing import Way, time_once
from recollect.progress import Progress

__all__ = ["measure_scoring"]

_BRANCH: Final = 24
_BATCHES: Final = (1, 4, 10)
_EXPANDED_BATCHES: Final = (5, 25)
_PROMPTS, _EXPANDED, _WARM, _COLD = "prompt each", "expanded cache", "ours, warm", "ours, cold"


@dataclass(frozen=True, slots=True)
class Case:
    """Set one question and what is promised for it, at least so many times faster."""

    backbone: str
    candidates: int
    trunk: int
    warm: float | None = None
    expanded: float | None = None
    cold: float | None = None
    peak: float | None = None

    @property
    def name(self) -> str:
        """Name the question."""
        return f"score {self.candidates} after {self.trunk:,}"


_CASES: Final = (
    *(Case(name, 100, 1024, warm=120.0, expanded=5.0, cold=30.0) for name in ("10M", "30M", "135M")),
    Case("10M", 20, 512, warm=70.0),
)
_GPU_CASES: Final = tuple(Case(name, 100, 1024, peak=0.5) for name in ("0.6B", "8B"))


def measure_scoring(asked: Asked, *, progress: Progress) -> Findings:
    """Measure every case.

    Raises
    ------
    UsageError
        If there is no such backbone.
    ModelError
        If our ways and stock `transformers` disagree, or a model folder cannot be used.
    """
    found = Findings()
    for case in _cases(asked):
        found.add(_Scoring(case, asked).measure(progress))
    if asked.device == "cpu" and asked.backbone is None:
        found.rows += [_gpu_row(case) for case in _GPU_CASES]
    return found


def _cases(asked: Asked) -> Sequence[Case]:
    """Choose the cases: those of the promises, or the same questions to one backbone."""
    if asked.quick:
        return [Case(asked.backbone or "tiny", 8, 128)]
    cases = _CASES if asked.device == "cpu" else _GPU_CASES
    if asked.backbone is None:
        return cases
    own = [case for case in cases if case.backbone == asked.backbone]
    return own or [Case(asked.backbone, 100, 1024)]


class _Scoring:
    """Measure one case."""

    def __init__(self, case: Case, asked: Asked) -> None:
        self.case, self.asked = case, asked
        self.device = torch.device(asked.device)
        fast = computes_narrow(self.device)
        self.narrow = "bfloat16" if fast else "float32"
        self.note = "" if fast else "float32 on both sides: bfloat16 products are slower here"
        self.precisions = ("bfloat16",) if asked.device == "cuda" else tuple(dict.fromkeys(("float32", self.narrow)))
        causal = build_backbone(case.backbone, dtype=DTYPES[self.precisions[0]], device=self.device)
        self.sizes = Dimensions.of(causal.config)
        self.question = make_question(
            candidates=case.candidates, trunk=case.trunk, branch=_BRANCH, vocabulary=self.sizes.vocabulary
        )
        self.engines = make_engines(causal, precisions=(*self.precisions, "int8"), compiled=not asked.quick)
        self.plain = {kind: self._plain(kind) for kind in self.precisions}
        self.effort = Effort(2, 1.0) if asked.quick else Effort(20, 90.0)

    def measure(self, progress: Progress) -> Findings:
        """Check that ways agree, time them in turn, and compare."""
        label = f"{self.case.backbone}, {self.case.name}"
        facts = self._agreement(label)
        jobs = [*map(self._prompts_job, self.precisions), self._expanded_job()]
        jobs += [job for engine in self.engines for job in self._our_jobs(engine)]
        times = time_jobs(jobs, effort=self.effort, device=self.device, progress=progress, label=label)
        return Findings(self._rows(times), times, facts)

    def _plain(self, precision: str) -> PlainWay:
        model = next(one.model for one in self.engines if one.name == "stock" and one.precision == precision)
        return PlainWay(model, self.question.trunk, self.question.branches)

    def _agreement(self, label: str) -> dict[str, float | str]:
        """Check our exact ways against stock `transformers`; nothing to check where all computes in bfloat16."""
        if "float32" not in self.precisions:
            return {}
        few = min(2, self.case.candidates)
        expected = self.plain["float32"].score(batch=few, count=few)
        return {
            f"largest difference of logits, {label}": require_agreement(self.question, self.engines, expected=expected)
        }

    def _prompts_job(self, precision: str) -> Job:
        """Send whole prompts through in their best batches, of as many candidates as time allows."""
        plain, count = self.plain[precision], self.case.candidates
        chosen = choose_sampling(
            lambda batch: plain.score(batch=batch, count=batch),
            count=count,
            batches=_BATCHES,
            settle=settler(self.device),
        )
        way = Way(
            self.case.name,
            f"{_PROMPTS}, {precision}, {chosen.batch} at once",
            lambda: plain.score(batch=chosen.batch, count=chosen.some),
            share=chosen.some / count,
        )
        cost = prompts_cost(self.sizes, candidates=count, trunk=self.case.trunk, branch=_BRANCH, batch=chosen.batch)
        return Job(way, cost, precision, chosen.note)

    def _expanded_job(self) -> Job:
        """Repeat the cache for as many candidates at once as is fastest."""
        plain, settle = self.plain[self.narrow], settler(self.device)
        tried = [batch for batch in _EXPANDED_BATCHES if batch < self.case.candidates] + [self.case.candidates]
        ways = [
            Way(
                self.case.name,
                f"{_EXPANDED}, {self.narrow}, {batch} at once",
                lambda batch=batch: plain.score_cached(batch=batch),
            )
            for batch in tried
        ]
        way = min(ways, key=lambda way: time_once(way, settle=settle)[0])
        cost = expanded_cost(self.sizes, candidates=self.case.candidates, trunk=self.case.trunk, branch=_BRANCH)
        return Job(way, cost, self.narrow)

    def _our_jobs(self, engine: Engine) -> list[Job]:
        cache = engine.encode(self.question)
        sizes = {"candidates": self.case.candidates, "trunk": self.case.trunk, "branch": _BRANCH}
        warm = Way(
            self.case.name,
            f"{_WARM}, {engine.label}",
            lambda: engine.score(cache, self.question),
        )
        cold = Way(
            self.case.name,
            f"{_COLD}, {engine.label}",
            lambda: engine.score(engine.encode(self.question), self.question),
        )
        return [
            Job(warm, warm_cost(self.sizes, **sizes, answers=len(ANSWERS)), engine.precision),
            Job(cold, cold_cost(self.sizes, **sizes, answers=len(ANSWERS)), engine.precision),
        ]

    def _rows(self, times: list[WayTime]) -> list[Row]:
        """Make the rows of the promises; the first one is made against float32, whatever we compute in."""
        case, wide, narrow = self.case, self.precisions[0], self.narrow
        warm = self._blank(f"{case.name}, warm", case.warm)
        if case.peak is not None:
            warm = warm.model_copy(update={"target": case.peak, "aim": "peak share"})
        rows = [self._filled(warm, times, ours=(_WARM, kind), against=(_PROMPTS, wide)) for kind in self.precisions]
        expanded = self._blank(f"{case.name}, warm", case.expanded, note=self.note)
        cold = self._blank(f"{case.name}, cold", case.cold, note=self.note)
        return [
            *rows,
            self._filled(expanded, times, ours=(_WARM, narrow), against=(_EXPANDED, narrow)),
            self._filled(cold, times, ours=(_COLD, narrow), against=(_PROMPTS, narrow)),
        ]

    def _blank(self, work: str, target: float | None, *, note: str = "") -> Row:
        return Row(
            part="score",
            work=work,
            backbone=self.case.backbone,
            against="",
            precision="",
            target=target,
            rate_unit="candidates/s",
            note=note,
        )

    def _filled(self, row: Row, times: list[WayTime], *, ours: tuple[str, str], against: tuple[str, str]) -> Row:
        """Compare the ways whose names begin so, each in its type."""
        mine = [one for one in times if one.way.startswith(ours[0]) and one.precision == ours[1]]
        theirs = next(one for one in times if one.way.startswith(against[0]) and one.precision == against[1])
        named = row.model_copy(update={"against": ", ".join(against), "precision": ours[1]})
        return compare(named, mine, theirs, units=self.case.candidates)


def _gpu_row(case: Case) -> Row:
    return Row(
        part="score",
        work=f"{case.name}, warm",
        backbone=case.backbone,
        against="bfloat16 product, GPU",
        precision="bfloat16",
        target=case.peak,
        aim="peak share",
    )
