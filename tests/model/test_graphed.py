"""Recorded passes answer as the compact way, and whatever fits no recording runs without one.

A processor has no CUDA graphs: here a recording is repeated by running it, which is the same arithmetic on the
same memory.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from recollect.errors import ModelError
from recollect.model import graphed
from recollect.model.cache import TrunkCache
from recollect.model.compact import CompactDecoder
from recollect.model.graphed import GraphedDecoder, Recorder
from recollect.model.language_model import LanguageModel
from recollect.model.ways import available_ways, use_way
from recollect.prompt.branches import Branches
from recollect.prompt.tree import Segment, join_segments

FAMILIES = ("llama", "qwen2", "qwen3", "mistral")
LENGTH = 4


def words(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 61, shape).astype(np.int32)


def recorded(model: LanguageModel, record: Recorder) -> GraphedDecoder:
    decoder = CompactDecoder.of(model.causal)
    assert decoder is not None
    return GraphedDecoder.of(decoder, lengths=(LENGTH,), reach=model.span_limit, record=record)


def counting() -> tuple[list[int], Recorder]:
    """Record passes, and count how often one is repeated."""
    runs: list[int] = []

    def record(run: Callable[[], None]) -> Callable[[], None]:
        return lambda: runs.append(1) or run()

    return runs, record


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_passes_are_exact(family: str, language_model: Callable[[str], LanguageModel]):
    model = language_model(family)
    long = model.append(TrunkCache.empty(), join_segments([Segment(words(0, 40), start=0)]))
    grown = model.append(long, join_segments([Segment(words(1, 3), start=40), Segment(words(2, 2), start=43)]))
    asked = [
        (cache, Branches.of(words(count, count, length), start=start, slots=words(3, count) % length), sees)
        for count, length in ((1, 4), (8, 3), (5, 1), (20, 4))
        for cache, start, sees in ((long, 40, None), (grown, 45, None), (grown, 45, np.array([True, False, True])))
    ]
    use_way(model, "compact")
    expected = [model.score(cache, branches, sees=sees) for cache, branches, sees in asked]
    runs, record = counting()
    model.decoder = recorded(model, record)
    runs.clear()
    try:
        for (cache, branches, sees), scores in zip(asked, expected, strict=True):
            torch.testing.assert_close(model.score(cache, branches, sees=sees), scores, rtol=0, atol=1e-5)
    finally:
        use_way(model, "stock")
    assert len(runs) == len(asked)


@pytest.mark.parametrize(
    ("tokens", "count", "length", "apart"),
    [(0, 4, 4, 0), (40, 33, 4, 0), (40, 4, 5, 0), (40, 4, 4, 1)],
    ids=["no trunk", "many branches", "long branches", "positions of their own"],
)
def test_what_fits_no_recording_runs_without_one(
    tokens: int, count: int, length: int, apart: int, language_model: Callable[[str], LanguageModel]
):
    model = language_model("qwen3")
    cache = TrunkCache.empty()
    if tokens:
        cache = model.append(cache, join_segments([Segment(words(0, tokens), start=0)]))
    branches = Branches.of(words(1, count, length), start=tokens)
    positions = branches.positions + apart * np.arange(count, dtype=np.int32)[:, None]
    branches = replace(branches, positions=positions)
    expected = model.score(cache, branches)
    runs, record = counting()
    model.decoder = recorded(model, record)
    runs.clear()
    try:
        torch.testing.assert_close(model.score(cache, branches), expected, rtol=0, atol=1e-5)
    finally:
        use_way(model, "stock")
    assert not runs


def test_a_recording_that_answers_otherwise_is_refused(language_model: Callable[[str], LanguageModel]):
    with pytest.raises(ModelError, match="answers otherwise"):
        recorded(language_model("qwen3"), lambda _: lambda: None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_the_way_is_not_offered(language_model: Callable[[str], LanguageModel]):
    model = language_model("qwen3")
    assert "graphed" not in available_ways(model)
    with pytest.raises(ModelError, match="no CUDA device"):
        use_way(model, "graphed")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_graphs_are_exact():
    from backbones import build

    model = LanguageModel(build("qwen3"), answers=((7,), (11,))).eval().to(torch.device("cuda"))
    cache = model.append(TrunkCache.empty(), join_segments([Segment(words(0, 40), start=0)]))
    branches = Branches.of(words(1, 6, LENGTH), start=40)
    expected = model.score(cache, branches)
    use_way(model, "graphed", lengths=(LENGTH,))
    for _ in range(2):
        torch.testing.assert_close(model.score(cache, branches), expected, rtol=0, atol=1e-5)
    assert isinstance(model.decoder, graphed.GraphedDecoder)
