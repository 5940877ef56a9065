"""The ways of serving: score a list, take in an event, encode, append, pack.

It decides that the reader's list is asked at one fixed moment with the same events known, however often it is asked,
and that the clicker's past grows by one event each time the whole path from event to new list is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.world import CLICKER, READER, Sizes, choose_items
from recollect.bench.plain import PlainWay
from recollect.bench.timing import Way
from recollect.context.evidence import Evidence
from recollect.data.dataset import Dataset
from recollect.model.cache import TrunkCache
from recollect.prompt.growth import attach
from recollect.prompt.packing import pack
from recollect.prompt.stream_prompter import StreamPrompter
from recollect.rank.recommender import Recommender
from recollect.run.tuned import TunedModel

T = TypeVar("T")


class Reader:
    """Score a fixed list for a person with a long past, in every way that gives the same answers."""

    def __init__(self, recommender: Recommender, dataset: Dataset, sizes: Sizes) -> None:
        self.recommender = recommender
        self.model, self.layout = recommender.model, cast(StreamPrompter, recommender.prompter).layout
        line = recommender.context.timeline(recommender.person(f"u{READER}"))
        self.whole, self.known = line.window(0, len(line)), line.window(0, sizes.known)
        self.moment = int(line.times[sizes.known - 1]) + recommender.context.gap
        codes = choose_items(dataset, sizes.candidates)
        self.items: list[str] = [dataset.catalog.ids[code] for code in map(int, codes)]
        self.branches = self.layout.branches(self.known, codes, recommender.context.features(codes, self.moment))
        self.tree = self.layout.tree(self.known)
        self.cache, self.narrow_cache = self.encode(), in_bfloat16(self.encode)()
        everything = np.arange(len(dataset.catalog), dtype=np.int32)
        features = recommender.context.features(everything, self.moment)
        self.all_branches = self.layout.branches(self.known, everything, features)
        self.growing, self.shown = self.cache, len(self.known)
        self.plain = PlainWay(self.model, self.tree, self.branches)

    def recommend(self) -> object:
        """Score through the recommender, the trunk kept warm."""
        return self.recommender.score("u0", self.items, at=self.moment)

    def score(self) -> Tensor:
        """Score through the language model alone."""
        return self.model.score(self.cache, self.branches)

    def score_narrow(self) -> Tensor:
        """Score against a trunk that was encoded in bfloat16, in bfloat16."""
        return in_bfloat16(lambda: self.model.score(self.narrow_cache, self.branches))()

    def score_all(self) -> Tensor:
        """Score the whole catalog."""
        return self.model.score(self.cache, self.all_branches)

    def score_all_narrow(self) -> Tensor:
        """Score the whole catalog in bfloat16."""
        return in_bfloat16(lambda: self.model.score(self.narrow_cache, self.all_branches))()

    def encode(self) -> TrunkCache:
        """Encode the trunk from nothing."""
        return self._appended(self._profile(), self.known, skip=0)

    def score_cold(self) -> Tensor:
        """Encode the trunk, then score."""
        return self.model.score(self.encode(), self.branches)

    @torch.inference_mode()
    def score_packed(self) -> Tensor:
        """Score trunk and branches as one packed sequence under a mask."""
        return self.model(pack([attach(self.tree, self.branches)]))

    def prepare_append(self) -> None:
        """Start over from the known events when the later ones are used up."""
        if self.growing is self.cache or self.shown == len(self.whole):
            self.growing, self.shown = self.encode(), len(self.known)

    def append(self) -> None:
        """Append the next event to the newest cache."""
        end = self.shown + 1
        part = Evidence(
            self.whole.user, self.whole.rows[:end], self.whole.items[:end], self.whole.labels[:end],
            self.whole.features[:end], self.whole.sees[:end], self.whole.asked[:end],
        )  # fmt: skip
        self.growing, self.shown = self._appended(self.growing, part, skip=self.shown), end

    def _profile(self) -> TrunkCache:
        return self.model.append(TrunkCache.empty(), self.layout.trunk(READER))

    def _appended(self, cache: TrunkCache, evidence: Evidence, *, skip: int) -> TrunkCache:
        sees = np.arange(skip) < evidence.sees[skip:, None]
        relation = np.concatenate([np.ones((len(sees), 1), np.bool_), sees], axis=1)
        return self.model.append(cache, self.layout.events(evidence, skip=skip), sees=relation)


class Clicker:
    """Let a person choose the first item of the list again and again."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender, self.name = recommender, f"u{CLICKER}"
        self.best = recommender.recommend(self.name).items[0].item

    def click(self) -> None:
        """Take in an event and make the new top 10."""
        self.recommender.add(self.name, self.best, value=5)
        self.best = self.recommender.recommend(self.name, top=10).items[0].item


def in_bfloat16(run: Callable[[], T]) -> Callable[[], T]:
    """Run the same under bfloat16 autocast."""

    def run_narrow() -> T:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return run()

    return run_narrow


def serving_ways(tuned: TunedModel, dataset: Dataset, sizes: Sizes) -> tuple[list[Way], Reader]:
    """List the ways, first of each group the one that the others are compared with."""
    recommender = Recommender(tuned, dataset)
    reader, clicker = Reader(recommender, dataset, sizes), Clicker(Recommender(tuned, dataset))
    score = f"score {sizes.candidates} candidates after {sizes.known} events"
    event = f"an event to the new top 10 of {sizes.items:,} items"
    trunk = f"keep the trunk of {sizes.known} events"
    whole, half, tenth = sizes.candidates, -(-sizes.candidates // 4), -(-sizes.candidates // 10)
    plain = [
        Way(score, f"stock, a prompt per candidate, {n} at once", lambda n=n: reader.plain.score(batch=n), every=4)
        for n in dict.fromkeys((whole, half, tenth))
    ]
    return [
        Way(score, "recommender, warm trunk", reader.recommend),
        Way(score, "language model, warm trunk", reader.score),
        Way(score, "language model, warm trunk, bfloat16", reader.score_narrow),
        Way(score, "language model, cold trunk", reader.score_cold),
        Way(score, "language model, cold trunk, bfloat16", in_bfloat16(reader.score_cold)),
        Way(score, "one packed sequence, masked", reader.score_packed),
        Way(score, "stock, cached trunk, repeated", reader.plain.score_cached),
        *plain,
        Way(event, "recommender, event and list", clicker.click),
        Way(event, "of that, scoring in the language model", reader.score_all),
        Way(event, "of that, scoring, bfloat16", reader.score_all_narrow, every=2),
        Way(trunk, "append one event", reader.append, prepare=reader.prepare_append),
        Way(trunk, "encode it anew", reader.encode),
        Way(trunk, "encode it anew, bfloat16", in_bfloat16(reader.encode)),
    ], reader
