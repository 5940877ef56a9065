"""Tuning: supervised labels per second in three formats, beside a stock loop over one padded sample per label.

It decides one type of product for both sides, the faster one of this machine; that freed memory is kept for both, as
in `recollect tune`; that the stock loop takes the best of a few batch sizes; and that its time is scaled from some
of the samples where all of them would take too long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import torch

from recollect.bench.cost import Dimensions
from recollect.bench.engines import DTYPES
from recollect.bench.jobs import Effort, Job, compare, time_jobs
from recollect.bench.lessons import Lessons, recicl_lessons, shared_lessons, stream_lessons
from recollect.bench.machine import computes_narrow, settler
from recollect.bench.result import Asked, Findings, Row
from recollect.bench.sampling import choose_sampling
from recollect.bench.shapes import build_backbone
from recollect.bench.timing import Way
from recollect.bench.trainers import PackedTrainer, StockTrainer
from recollect.progress import Progress
from recollect.tuning.optimiser import keep_freed_memory

__all__ = ["measure_tuning"]

T = TypeVar("T")
_GPU_BACKBONES: Final = ("0.6B", "8B")  # two copies of the second one with their optimisers do not fit on one GPU
_GPU_SHARE: Final = 0.5

_BATCHES: Final = (1, 4)
_STOCK, _OURS = "padded sample each", "ours, packed"


@dataclass(frozen=True, slots=True)
class Format:
    """Name a format with its lessons, and how many times faster we promise to be."""

    name: str
    lessons: Lessons
    target: float | None


def measure_tuning(asked: Asked, *, progress: Progress) -> Findings:
    """Measure every backbone and format.

    Raises
    ------
    UsageError
        If there is no such backbone.
    ModelError
        If a model folder cannot be used.
    """
    found = Findings()
    for name in _backbones(asked):
        found.add(_Tuning(name, asked).measure(progress))
    if asked.backbone is None:
        found.rows += [_gpu_row(name) for name in _GPU_BACKBONES if name not in _backbones(asked)]
    return found


def _backbones(asked: Asked) -> tuple[str, ...]:
    if asked.backbone is not None:
        return (asked.backbone,)
    if asked.quick:
        return ("tiny",)
    return ("10M", "30M") if asked.device == "cpu" else ("0.6B",)


def _formats(vocabulary: int, *, quick: bool) -> list[Format]:
    """Make the lessons of each format."""
    if quick:
        return [
            Format("recicl, 5 answers", recicl_lessons(prompts=1, answers=5, vocabulary=vocabulary), None),
            Format("shared trunk of 64", shared_lessons(trunk=64, branches=2, vocabulary=vocabulary), None),
            Format("stream, 6 events", stream_lessons(events=6, vocabulary=vocabulary), None),
        ]
    return [
        Format("recicl, 5 answers", recicl_lessons(prompts=4, answers=5, vocabulary=vocabulary), 6.0),
        Format("shared trunk of 1,024", shared_lessons(trunk=1024, branches=8, vocabulary=vocabulary), 12.0),
        Format("stream, 160 events", stream_lessons(events=160, vocabulary=vocabulary), 40.0),
    ]


class _Tuning:
    """Measure one backbone."""

    def __init__(self, backbone: str, asked: Asked) -> None:
        keep_freed_memory()
        self.backbone, self.asked = backbone, asked
        self.device = torch.device(asked.device)
        fast = computes_narrow(self.device)
        self.precision = "bfloat16" if fast else "float32"
        self.note = "" if fast else "float32 on both sides: bfloat16 products are slower here"
        dtype = DTYPES["bfloat16" if asked.device == "cuda" else "float32"]
        causal = build_backbone(backbone, dtype=dtype, device=self.device)
        self.sizes = Dimensions.of(causal.config)
        narrow = fast and asked.device == "cpu"
        self.stock = StockTrainer(causal, narrow=narrow)
        self.ours = {_OURS: PackedTrainer(causal, narrow=narrow)}
        if not asked.quick:
            self.ours[f"{_OURS}, compiled"] = PackedTrainer(causal, narrow=narrow, compiled=True)
        self.effort = Effort(1, 1.0) if asked.quick else Effort(10, 60.0)

    def measure(self, progress: Progress) -> Findings:
        """Time both sides in every format."""
        found = Findings()
        for form in _formats(self.sizes.vocabulary, quick=self.asked.quick):
            for trainer in self.ours.values():
                trainer.step(form.lessons)  # compiles for sizes that it has not met
            jobs = [self._stock_job(form), *(self._our_job(form, name) for name in self.ours)]
            label = f"{self.backbone}, tune {form.name}"
            times = time_jobs(jobs, effort=self.effort, device=self.device, progress=progress, label=label)
            row = Row(
                part="tune",
                work=f"tune {form.name}",
                backbone=self.backbone,
                against=f"{_STOCK}, {self.precision}",
                precision=self.precision,
                target=form.target if self.device.type == "cpu" else _GPU_SHARE,
                aim="ratio" if self.device.type == "cpu" else "peak share",
                rate_unit="labels/s",
                note=self.note,
            )
            found.add(Findings([compare(row, times[1:], times[0], units=len(form.lessons.labels))], times))
            tokens = sum(map(len, form.lessons.trees))
            best = min(one.median_ms for one in times[1:])
            found.facts[f"tokens per second, {label}"] = 1000 * tokens / best
        return found

    def _stock_job(self, form: Format) -> Job:
        """Send samples through in their best batches, as many of them as time allows."""
        samples = form.lessons.samples
        chosen = choose_sampling(
            lambda batch: self.stock.step(_spread(samples, batch), batch=batch),
            count=len(samples),
            batches=_BATCHES,
            settle=settler(self.device),
        )
        some = _spread(samples, chosen.some)
        way = Way(
            form.name,
            f"{_STOCK}, {chosen.batch} at once",
            lambda: self.stock.step(some, batch=chosen.batch),
            share=sum(map(len, some)) / sum(map(len, samples)),
        )
        return Job(way, form.lessons.plain_cost(self.sizes), self.precision, chosen.note)

    def _our_job(self, form: Format, name: str) -> Job:
        trainer = self.ours[name]
        way = Way(form.name, name, lambda: trainer.step(form.lessons))
        return Job(way, form.lessons.our_cost(self.sizes), self.precision)


def _spread(values: list[T], count: int) -> list[T]:
    """Choose values at equal distances."""
    return [values[(2 * number + 1) * len(values) // (2 * count)] for number in range(count)]


def _gpu_row(backbone: str) -> Row:
    return Row(
        part="tune",
        work="tune shared trunk of 1,024",
        backbone=backbone,
        against="bfloat16 product, GPU",
        precision="bfloat16",
        target=_GPU_SHARE,
        aim="peak share",
    )
