"""Every exact way of serving answers as the stock way; the others stay near, and are only taken when asked for."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from backbones import build

from recollect.errors import ModelError, UsageError
from recollect.model.adapters import has_lora
from recollect.model.cache import TrunkCache
from recollect.model.growth import Growth
from recollect.model.language_model import LanguageModel
from recollect.model.quantised import CACHE_KINDS, restored, stored
from recollect.model.ways import (
    AUTOMATIC,
    WAYS,
    available_ways,
    bytes_per_token,
    fastest_way,
    measure_ways,
    use_way,
)
from recollect.prompt.branches import Branches
from recollect.prompt.growth import attach, extend
from recollect.prompt.packing import pack
from recollect.prompt.tree import Segment, join_segments

ANSWERS = ((7,), (11,))
EXACT: dict[str, Any] = {"rtol": 0, "atol": 1e-5}
LLAMA_SHAPE = ("llama", "qwen2", "qwen3", "mistral")
ROUGH = {"compact-bfloat16": 0.1, "compact-int8": 0.15}
"""Root mean square error of the scores, over their standard deviation, that each way may have."""


def words(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 61, shape).astype(np.int32)


TRUNK = join_segments([Segment(words(0, 6), start=0), Segment(words(1, 3), start=6, sees=(0,))])
EVENT = join_segments([Segment(words(2, 2), start=9), Segment(words(3, 2), start=9)])
"""Two events of one instant, which do not see each other."""
LATER = join_segments([Segment(words(4, 3), start=11)])
BRANCHES = Branches.of(words(5, 30, 3), start=14, slots=words(6, 30) % 3)


@pytest.fixture(params=LLAMA_SHAPE)
def model(request: pytest.FixtureRequest, language_model: Callable[[str], LanguageModel]) -> Iterator[LanguageModel]:
    made = language_model(request.param)
    yield made
    use_way(made, "stock")


def warm_scores(model: LanguageModel, branches: Branches = BRANCHES, **options: Any) -> np.ndarray:
    cache = TrunkCache.empty()
    for part in (TRUNK, EVENT, LATER):
        cache = model.append(cache, part)
    return model.score(cache, branches, **options).numpy()


def packed_scores(model: LanguageModel, branches: Branches = BRANCHES) -> np.ndarray:
    with torch.inference_mode():
        return model(pack([attach(extend(extend(TRUNK, EVENT), LATER), branches)])).numpy()


def test_the_compact_way_is_exact(model: LanguageModel):
    stock, packed = warm_scores(model), packed_scores(model)
    np.testing.assert_allclose(stock, packed, **EXACT)
    use_way(model, "compact")
    np.testing.assert_allclose(warm_scores(model), stock, **EXACT)
    np.testing.assert_allclose(warm_scores(model, chunk=7), stock, **EXACT)
    np.testing.assert_allclose(packed_scores(model), packed, **EXACT)


def test_hidden_segments_and_positions_of_their_own(model: LanguageModel):
    sees = np.array([True, False, True, True, False])
    own = Branches(
        BRANCHES.tokens, BRANCHES.items, BRANCHES.features, BRANCHES.positions + words(7, 30, 1), BRANCHES.slots
    )
    stock = warm_scores(model, sees=sees), warm_scores(model, own)
    use_way(model, "compact")
    np.testing.assert_allclose(warm_scores(model, sees=sees), stock[0], **EXACT)
    np.testing.assert_allclose(warm_scores(model, own), stock[1], **EXACT)


def test_answers_of_several_tokens_and_empty_trunks(named_family: str, language_model: Callable[[str], LanguageModel]):
    if named_family not in LLAMA_SHAPE:
        pytest.skip("not of the shape")
    model = LanguageModel(language_model(named_family).causal, answers=((7, 8), (7, 9, 10))).eval()
    start = Branches.of(words(5, 4, 3), start=0)
    stock = warm_scores(model), model.score(TrunkCache.empty(), start).numpy()
    use_way(model, "compact")
    np.testing.assert_allclose(warm_scores(model), stock[0], **EXACT)
    np.testing.assert_allclose(model.score(TrunkCache.empty(), start).numpy(), stock[1], **EXACT)


def together(model: LanguageModel) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Ask questions with trunks and branches of several lengths together, and each alone."""
    trunks = [model.append(TrunkCache.empty(), part) for part in (TRUNK, LATER)] + [TrunkCache.empty()]
    lengths = (3, 5, 2)
    questions = [
        (trunk, Branches.of(words(9, 4 + length, length), start=14, slots=words(6, 4 + length) % length))
        for trunk, length in zip(trunks, lengths, strict=True)
    ]
    alone = [model.score(*question).numpy() for question in questions]
    return [found.numpy() for found in model.score_together(questions)], alone


@pytest.mark.parametrize("way", [*AUTOMATIC, "compact-bfloat16"])
def test_several_trunks_grow_in_shared_passes(model: LanguageModel, way: str):
    use_way(model, way)
    trunk = model.append(TrunkCache.empty(), TRUNK)
    growths = [Growth.of(trunk, EVENT), Growth.of(TrunkCache.empty(), TRUNK), Growth.of(trunk, LATER)]
    for found, growth in zip(model.append_together(growths), growths, strict=True):
        alone = model.append(growth.cache, growth.delta)
        atol = 1e-5 if way in AUTOMATIC else 0.02
        np.testing.assert_allclose(model.score(found, BRANCHES), model.score(alone, BRANCHES), rtol=0, atol=atol)


@pytest.mark.parametrize("way", AUTOMATIC)
def test_several_questions_share_passes(model: LanguageModel, way: str):
    use_way(model, way)
    for found, alone in zip(*together(model), strict=True):
        np.testing.assert_allclose(found, alone, **EXACT)
    assert model.score_together([]) == []


def test_several_questions_of_a_family_that_cannot_be_plugged(language_model: Callable[[str], LanguageModel]):
    for found, alone in zip(*together(language_model("gptj")), strict=True):
        np.testing.assert_allclose(found, alone, **EXACT)


@pytest.mark.parametrize("way", ROUGH)
def test_fewer_bits_stay_near_and_give_float32(model: LanguageModel, way: str):
    exact = warm_scores(model)
    use_way(model, way)
    for rough in (warm_scores(model), packed_scores(model)):
        assert rough.dtype == np.float32
        assert 0 < np.sqrt(np.square(rough - exact).mean()) < ROUGH[way] * exact.std()


def test_rows_of_int8_do_not_change_each_other(model: LanguageModel):
    use_way(model, "compact-int8")
    np.testing.assert_allclose(warm_scores(model, chunk=11), warm_scores(model, chunk=30), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
@pytest.mark.parametrize("way", AUTOMATIC)
def test_a_cache_of_fewer_bits(model: LanguageModel, way: str, kind: str):
    exact = warm_scores(model)
    use_way(model, way, cache=kind)
    rough = warm_scores(model)
    assert 0 < np.sqrt(np.square(rough - exact).mean()) < 0.05 * exact.std()
    whole = model.append(TrunkCache.empty(), extend(extend(TRUNK, EVENT), LATER))
    moved = np.square(model.score(whole, BRANCHES).numpy() - rough).mean()
    assert (
        moved < 0.05 * np.square(rough - exact).mean()
    )  # the last bit of a product may move a number to the next step
    restored_whole = TrunkCache.restore(whole.export())
    assert (restored_whole.nbytes, restored_whole.store.kind) == (whole.nbytes, kind)
    np.testing.assert_array_equal(model.score(restored_whole, BRANCHES), model.score(whole, BRANCHES))


def test_bytes_are_counted(language_model: Callable[[str], LanguageModel]):
    # 2 layers x keys and values x 2 heads x 16 numbers, of 4, 2 or 1 bytes, the last with 4 bytes of scale per head
    assert bytes_per_token(language_model("qwen3")) == {"as computed": 512.0, "bfloat16": 256.0, "int8": 160.0}
    states = torch.randn(1, 2, 5, 16)
    for kind, tolerance in zip(CACHE_KINDS, (0.0, 0.01, 0.02), strict=True):
        assert float((restored(stored(states, kind)) - states).abs().max()) <= tolerance * float(states.abs().max())


def test_tuning_stays_with_the_backbone(model: LanguageModel):
    tree = pack([attach(TRUNK, Branches.of(words(8, 3, 2), start=9))])
    use_way(model, "compact-int8")
    with_gradient = model(tree)
    assert with_gradient.requires_grad
    use_way(model, "stock")
    torch.testing.assert_close(model(tree), with_gradient, rtol=0, atol=0)


def test_the_automatic_way_is_measured_and_leaves_the_model_as_it_was(model: LanguageModel):
    use_way(model, "stock", cache="int8")
    assert set(measure_ways(model, trunk=20, candidates=3, length=2, rounds=1)) == set(AUTOMATIC)
    assert fastest_way(model) in AUTOMATIC
    assert (model.decoder, model.cache_kind) == (None, "int8")


def test_long_answers_are_measured_within_what_the_model_reads():
    model = LanguageModel(build("gpt2"), answers=((7,), (11, 12, 13, 14)))
    assert set(measure_ways(model, trunk=1000, candidates=3, length=2, rounds=1)) == {"stock"}


def test_a_family_of_another_shape_has_the_stock_way_only(language_model: Callable[[str], LanguageModel]):
    model = language_model("gpt2")
    assert available_ways(model) == ("stock",)
    assert fastest_way(model) == "stock"
    with pytest.raises(ModelError, match="not of the Llama shape"):
        use_way(model, "compact")
    assert model.decoder is None


def test_names_are_checked(language_model: Callable[[str], LanguageModel]):
    model = language_model("qwen3")
    with pytest.raises(UsageError, match="compact-int8"):
        use_way(model, "fast")
    with pytest.raises(UsageError, match="as computed"):
        use_way(model, "stock", cache="float8")
    assert set(available_ways(model)) <= set(WAYS)


def test_an_adapter_is_merged():
    peft = pytest.importorskip("peft")
    causal = build("qwen3")
    causal.add_adapter(peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    model = LanguageModel(causal, answers=ANSWERS).eval()
    exact = warm_scores(model)
    assert available_ways(model) == ("stock",)
    use_way(model, "compact")
    assert not has_lora(causal)
    np.testing.assert_allclose(warm_scores(model), exact, **EXACT)
