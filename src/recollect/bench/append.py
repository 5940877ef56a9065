"""The event path: an event behind a trunk beside encoding the trunk anew, by the same engine; and what a trunk holds.

It decides that an event has 24 tokens and comes after 1,024 or 2,048; that a chunk which leaves is a quarter of the
trunk, and costs the encoding of what remains, once for all events of the chunk; and that bytes per user are counted for
every kind of cache, with grouped heads and as if every query head had its own.

Dimension letters: T tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Int32

from recollect.bench.cost import Dimensions, append_cost, encode_cost
from recollect.bench.engines import DTYPES, Engine, make_engines
from recollect.bench.jobs import Effort, Job, compare, time_jobs
from recollect.bench.machine import computes_narrow
from recollect.bench.questions import random_tokens, run_of
from recollect.bench.result import Asked, Findings, Row, WayTime
from recollect.bench.shapes import build_backbone
from recollect.bench.timing import Way
from recollect.model.cache import TrunkCache
from recollect.model.ways import bytes_per_token
from recollect.progress import Progress

__all__ = ["measure_appending"]

_EVENT: Final = 24
_TARGETS: Final = {1024: 9.0, 2048: 16.0}
_ENCODE, _APPEND, _EVICT = "encode anew", "append the event", "encode what a chunk leaves"
_EXPORT, _RESTORE = "export the cache", "restore the cache"


def measure_appending(asked: Asked, *, progress: Progress) -> Findings:
    """Measure every backbone and length of trunk.

    Raises
    ------
    UsageError
        If there is no such backbone.
    ModelError
        If a model folder cannot be used.
    """
    found = Findings()
    lengths = (128,) if asked.quick else tuple(_TARGETS)
    for name in _backbones(asked):
        for length in lengths:
            found.add(_Appending(name, asked, length).measure(progress))
    return found


def _backbones(asked: Asked) -> tuple[str, ...]:
    if asked.backbone is not None:
        return (asked.backbone,)
    if asked.quick:
        return ("tiny",)
    return ("10M", "135M") if asked.device == "cpu" else ("0.6B", "8B")


@dataclass(slots=True)
class _Growing:
    """Hold the trunk of one engine; the event always comes behind a fresh one, which has room to grow."""

    engine: Engine
    tokens: Int32[np.ndarray, " T"]
    cache: TrunkCache

    def encode(self, length: int) -> TrunkCache:
        """Encode the first tokens from nothing."""
        return self.engine.model.append(TrunkCache.empty(), run_of(self.tokens[:length], start=0))

    def prepare(self) -> None:
        """Take back the event."""
        self.cache = self.encode(len(self.tokens) - _EVENT)

    def append(self) -> TrunkCache:
        """Append the event."""
        start = len(self.tokens) - _EVENT
        return self.engine.model.append(self.cache, run_of(self.tokens[start:], start=start))


class _Appending:
    """Measure one backbone and length."""

    def __init__(self, backbone: str, asked: Asked, length: int) -> None:
        self.backbone, self.length = backbone, length
        self.device = torch.device(asked.device)
        self.precision = "float32" if asked.device == "cpu" else "bfloat16"
        causal = build_backbone(backbone, dtype=DTYPES[self.precision], device=self.device)
        self.sizes = Dimensions.of(causal.config)
        narrow = ("bfloat16",) if computes_narrow(self.device) else ()
        precisions = tuple(dict.fromkeys((self.precision, *narrow)))
        self.engines = make_engines(causal, precisions=precisions, compiled=False)  # what is compiled are branches
        shape = (length + _EVENT,)
        self.tokens = random_tokens(np.random.default_rng(0), shape, vocabulary=self.sizes.vocabulary)
        self.effort = Effort(2, 1.0) if asked.quick else Effort(20, 40.0)

    def measure(self, progress: Progress) -> Findings:
        """Time all ways in turn and compare each engine with itself."""
        label = f"{self.backbone}, {self._group}"
        jobs = [job for engine in self.engines for job in self._jobs(engine)]
        times = time_jobs(jobs, effort=self.effort, device=self.device, progress=progress, label=label)
        rows = [self._row(times, engine) for engine in self.engines]
        best = max(rows, key=lambda row: row.ratio or 0)
        return Findings([best], times, self._facts())

    def _jobs(self, engine: Engine) -> list[Job]:
        trunk = _Growing(engine, self.tokens, TrunkCache.empty())
        trunk.prepare()
        stored, length = trunk.cache.export(), self.length
        kept = length - length // 4
        ways = [
            (_ENCODE, lambda: trunk.encode(length + _EVENT), encode_cost(self.sizes, tokens=length + _EVENT)),
            (_EVICT, lambda: trunk.encode(kept), encode_cost(self.sizes, tokens=kept)),
            (_EXPORT, trunk.cache.export, None),
            (_RESTORE, lambda: TrunkCache.restore({name: one.clone() for name, one in stored.items()}), None),
        ]
        named = [
            Job(Way(self._group, f"{name}, {engine.label}", run), cost, engine.precision) for name, run, cost in ways
        ]
        append = Way(self._group, f"{_APPEND}, {engine.label}", trunk.append, prepare=trunk.prepare)
        return [Job(append, append_cost(self.sizes, tokens=_EVENT, after=length), engine.precision), *named]

    @property
    def _group(self) -> str:
        return f"append {_EVENT} after {self.length:,}"

    def _row(self, times: list[WayTime], engine: Engine) -> Row:
        mine = [one for one in times if one.way == f"{_APPEND}, {engine.label}"]
        theirs = next(one for one in times if one.way == f"{_ENCODE}, {engine.label}")
        row = Row(
            part="append",
            work=self._group,
            backbone=self.backbone,
            against=f"{_ENCODE}, {engine.label}",
            precision=engine.precision,
            target=_TARGETS.get(self.length),
            rate_unit="events/s",
        )
        return compare(row, mine, theirs, units=1)

    def _facts(self) -> dict[str, float | str]:
        """Count a user's bytes: keys and values of the trunk, in every kind of cache."""
        facts: dict[str, float | str] = {}
        ungrouped = self.sizes.heads / self.sizes.key_value_heads
        for kind, each in bytes_per_token(self.engines[0].model).items():
            name = f"bytes per user, {self.backbone}, {self.length:,} tokens, {self._kind(kind)}"
            facts[f"{name}, grouped heads"] = self.length * each
            facts[f"{name}, a head each"] = self.length * each * ungrouped
        return facts

    def _kind(self, kind: str) -> str:
        return self.precision if kind == "as computed" else kind
