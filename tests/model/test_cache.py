"""A warm trunk answers as if everything had been encoded anew, and no cache changes under its holder."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.errors import ModelError, PromptError
from recollect.model.cache import TrunkCache
from recollect.model.growth import Growth
from recollect.model.language_model import LanguageModel
from recollect.prompt.branches import Branches
from recollect.prompt.growth import attach, extend
from recollect.prompt.packing import pack
from recollect.prompt.tree import PromptTree, Segment, join_segments

EXACT: dict[str, Any] = {"rtol": 0, "atol": 1e-5}
Models = Callable[[str], LanguageModel]
Stock = Callable[[str, np.ndarray], np.ndarray]


def words(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 61, shape).astype(np.int32)


TRUNK = join_segments([Segment(words(0, 6), start=0), Segment(words(1, 3), start=6, sees=(0,))])
EVENT = join_segments([Segment(words(2, 2), start=9)])
TIED = join_segments([Segment(words(3, 2), start=9), Segment(words(4, 2), start=9)])
"""Two events of one instant: both see the trunk, neither sees the other."""


def warm(model: LanguageModel, *parts: PromptTree) -> TrunkCache:
    cache = TrunkCache.empty()
    for part in parts:
        cache = model.append(cache, part)
    return cache


def packed_scores(
    model: LanguageModel, trunk: PromptTree | None, branches: Branches, **options: np.ndarray
) -> np.ndarray:
    with torch.inference_mode():
        return model(pack([attach(trunk, branches, **options)])).numpy()


@pytest.mark.parametrize("length", [1, 3])
def test_cached_equals_one_by_one(family: str, length: int, language_model: Models, stock: Stock):
    model = language_model(family)
    branches = Branches.of(words(5, 7, length), start=9)
    scores = model.score(warm(model, TRUNK), branches).numpy()
    alone = np.stack([stock(family, np.concatenate([TRUNK.tokens, branch])) for branch in branches.tokens])
    np.testing.assert_allclose(scores, alone, **EXACT)
    assert alone.std(axis=0).min() > 0.05, "answers that hardly differ would prove nothing"


@pytest.mark.parametrize("delta", [EVENT, TIED], ids=["one event", "two of one instant"])
def test_incremental_equals_from_scratch(family: str, delta: PromptTree, language_model: Models):
    model = language_model(family)
    whole = extend(TRUNK, delta)
    branches = Branches.of(words(6, 4, 2), start=int(whole.positions.max()) + 1)
    step_by_step, at_once = warm(model, TRUNK, delta), warm(model, whole)
    expected = packed_scores(model, whole, branches)
    np.testing.assert_allclose(model.score(step_by_step, branches), expected, **EXACT)
    np.testing.assert_allclose(model.score(at_once, branches), expected, **EXACT)
    assert step_by_step.length == at_once.length == len(whole)
    assert step_by_step.next_position == branches.positions[0, 0]
    before = model.score(warm(model, TRUNK), branches).numpy()
    assert np.abs(before - expected).max() > 1e-3, "the event must matter"


@settings(max_examples=20)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 99))
def test_token_by_token_or_all_at_once(language_model: Models, lengths: list[int], seed: int):
    model, random = language_model("qwen3"), np.random.default_rng(seed)
    starts = np.cumsum([0, *lengths])
    parts = [join_segments([Segment(words(seed + n, count), start=int(starts[n]))]) for n, count in enumerate(lengths)]
    sees = [random.random((1, n)) < 0.6 for n in range(len(parts))]
    cache, tree = TrunkCache.empty(), None
    for part, seen in zip(parts, sees, strict=True):
        cache, tree = model.append(cache, part, sees=seen), extend(tree, part, sees=seen)
    branches = Branches.of(words(seed, 3, 2), start=int(starts[-1]))
    visible = random.random(len(parts)) < 0.7
    scores = model.score(cache, branches, sees=visible).numpy()
    np.testing.assert_allclose(scores, packed_scores(model, tree, branches, sees=visible), **EXACT)


def test_unseen_segments_have_no_influence(family: str, language_model: Models):
    model = language_model(family)
    branches, view = Branches.of(words(7, 3, 2), start=11), np.array([True, True, False])
    plain, other = (warm(model, TRUNK, join_segments([Segment(words(n, 2), start=9)])) for n in (20, 21))
    np.testing.assert_allclose(
        model.score(plain, branches, sees=view), model.score(other, branches, sees=view), rtol=0, atol=1e-6
    )
    assert (model.score(plain, branches) - model.score(other, branches)).abs().max() > 1e-3
    nothing = np.zeros(3, np.bool_)
    np.testing.assert_allclose(
        model.score(plain, branches, sees=nothing), packed_scores(model, None, branches), **EXACT
    )


def test_chunks_change_nothing(named_family: str, language_model: Models):
    model, cache = language_model(named_family), warm(language_model(named_family), TRUNK)
    branches = Branches.of(words(8, 10, 3), start=9)
    whole = model.score(cache, branches)
    for chunk in (1, 3, 10, 99):
        torch.testing.assert_close(model.score(cache, branches, chunk=chunk), whole, rtol=0, atol=1e-5)


def test_shorter_branches_may_be_padded(family: str, language_model: Models):
    model, cache = language_model(family), warm(language_model(family), TRUNK)
    tokens = words(9, 2, 4)
    ragged = Branches.of(tokens, start=9, slots=np.array([1, 3], np.int32))
    scores = model.score(cache, ragged)
    tokens[0, 2:] = 0  # padding
    np.testing.assert_allclose(model.score(cache, Branches.of(tokens, start=9, slots=ragged.slots)), scores, **EXACT)
    short = model.score(cache, Branches.of(tokens[:1, :2], start=9))
    np.testing.assert_allclose(scores[:1], short, **EXACT)


def test_branches_may_start_at_positions_of_their_own(named_family: str, language_model: Models):
    model, cache = language_model(named_family), warm(language_model(named_family), TRUNK)
    tokens = words(10, 2, 2)
    positions = np.array([[9, 10], [12, 13]], np.int32)
    both = Branches.of(tokens, start=9)
    moved = Branches(tokens, both.items, both.features, positions, both.slots)
    np.testing.assert_allclose(model.score(cache, moved), packed_scores(model, TRUNK, moved), **EXACT)


def test_a_trunk_may_be_empty_and_candidates_too(family: str, language_model: Models):
    model = language_model(family)
    branches = Branches.of(words(11, 3, 2), start=0)
    np.testing.assert_allclose(model.score(TrunkCache.empty(), branches), packed_scores(model, None, branches), **EXACT)
    assert model.score(warm(model, TRUNK), Branches.of(words(0, 0, 2), start=9)).shape == (0, 2)


@pytest.mark.parametrize("chunk", [None, 8, 1])
def test_several_trunks_grow_in_shared_passes(family: str, chunk: int | None, language_model: Models):
    model = language_model(family)
    trunk = warm(model, TRUNK)
    unseen = np.zeros((TIED.segment_count, TRUNK.segment_count), np.bool_)
    growths = [
        Growth.of(TrunkCache.empty(), TRUNK),
        Growth.of(trunk, EVENT),
        Growth.of(trunk, TIED, sees=unseen),  # the same cache again: one grows in place, the other one in a copy
        Growth.of(TrunkCache.empty(), TIED),
    ]
    branches = Branches.of(words(6, 4, 2), start=14)
    for found, growth in zip(model.append_together(growths, chunk=chunk), growths, strict=True):
        alone = model.append(growth.cache, growth.delta, sees=growth.sees)
        np.testing.assert_array_equal(found.ends, alone.ends)
        np.testing.assert_array_equal(found.reach, alone.reach)
        np.testing.assert_allclose(model.score(found, branches), model.score(alone, branches), **EXACT)
    assert model.append_together([]) == []


def test_a_cache_never_changes_under_its_holder(family: str, language_model: Models):
    model = language_model(family)
    branches = Branches.of(words(12, 3, 1), start=11)
    trunk = warm(model, TRUNK)
    before = model.score(trunk, branches)
    first = model.append(trunk, EVENT)
    first_before = model.score(first, branches)
    second = model.append(trunk, join_segments([Segment(words(13, 2), start=9)]))  # a second future of one past
    cropped = model.append(first.crop(1), join_segments([Segment(words(14, 2), start=6)]))
    torch.testing.assert_close(model.score(trunk, branches), before, rtol=0, atol=0)
    torch.testing.assert_close(model.score(first, branches), first_before, rtol=0, atol=0)
    assert (model.score(second, branches) - first_before).abs().max() > 1e-3
    assert (cropped.length, cropped.segment_count, cropped.next_position) == (8, 2, 8)


def test_cropping_takes_back_an_append(family: str, language_model: Models):
    model = language_model(family)
    trunk = warm(model, TRUNK)
    grown = model.append(trunk, TIED)
    branches = Branches.of(words(15, 3, 1), start=9)
    torch.testing.assert_close(model.score(grown.crop(2), branches), model.score(trunk, branches), rtol=0, atol=1e-6)
    assert (grown.crop(2).length, grown.crop(2).next_position) == (9, 9)
    assert grown.crop(0).length == 0
    with pytest.raises(ModelError, match="0 to 4"):
        grown.crop(5)


def test_appending_writes_into_spare_room_once(language_model: Models):
    model = language_model("qwen3")
    trunk = warm(model, TRUNK)
    grown = model.append(trunk, EVENT)
    assert grown.store is trunk.store
    assert model.append(trunk, EVENT).store is not trunk.store
    # 9 tokens x 2 layers x keys and values x 2 heads x 16 numbers x 4 bytes
    assert trunk.nbytes == 9 * 2 * 2 * 2 * 16 * 4


def test_export_and_restore(family: str, language_model: Models):
    model = language_model(family)
    cache = warm(model, TRUNK, EVENT)
    restored = TrunkCache.restore(cache.export())
    branches = Branches.of(words(16, 3, 2), start=11)
    torch.testing.assert_close(model.score(restored, branches), model.score(cache, branches), rtol=0, atol=0)
    torch.testing.assert_close(
        model.score(model.append(restored, EVENT), branches), model.score(model.append(cache, EVENT), branches)
    )
    assert all(tensor.is_contiguous() for tensor in cache.export().values())


def test_broken_exports_are_refused(language_model: Models):
    named = warm(language_model("qwen3"), TRUNK).export()
    without = {name: tensor for name, tensor in named.items() if name != "values.1"}
    shorter = named | {"keys.0": named["keys.0"][:, :, 1:]}
    for broken in ({}, without, shorter):
        with pytest.raises(ModelError, match="not a trunk cache"):
            TrunkCache.restore(broken)


def test_soft_tokens_and_bfloat16_work_against_a_warm_trunk(language_model: Models):
    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = torch.nn.Embedding(60, 32)

        def forward(self, items: torch.Tensor, features: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
            return embedded + self.own(items) * features[:, :1]

    torch.manual_seed(0)
    plain = language_model("qwen3")
    model = LanguageModel(plain.causal, answers=plain.answer_tokens.tokens, channel=Own())
    codes = np.arange(60, dtype=np.int32)[:, None]
    branches = Branches.of(np.ones_like(codes), start=9, items=codes, features=np.ones((60, 1, 1), np.float32))
    widened = join_segments([Segment(TRUNK.tokens, start=0, features=np.zeros((9, 1), np.float32))])
    scores = model.score(warm(model, TRUNK), branches).numpy()
    np.testing.assert_allclose(scores, packed_scores(model, widened, branches), **EXACT)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.score(warm(model, TRUNK), branches).numpy()
    assert np.corrcoef(rough[:, 0], scores[:, 0])[0, 1] > 0.99


def test_dropout_is_off_while_a_trunk_is_used(language_model: Models):
    model = language_model("gpt2")
    branches = Branches.of(words(17, 3, 1), start=9)
    calm = model.score(warm(model, TRUNK), branches)
    model.train()
    try:
        torch.testing.assert_close(model.score(warm(model, TRUNK), branches), calm, rtol=0, atol=0)
        assert model.causal.training
    finally:
        model.eval()


def test_what_does_not_fit_the_cache_is_refused(language_model: Models):
    model = language_model("qwen3")
    cache, branches = warm(model, TRUNK), Branches.of(words(18, 1, 1), start=9)
    leafy = join_segments([Segment(words(1, 1), start=9)], leaves=[Segment(words(2, 1), start=10, sees=(0,))])
    for wrong in (
        lambda: model.append(cache, leafy),
        lambda: model.append(cache, EVENT, sees=np.ones((1, 3), np.bool_)),
        lambda: model.score(cache, branches, sees=np.ones(3, np.bool_)),
    ):
        with pytest.raises(PromptError):
            wrong()
