"""The native kernel answers as the compact decoder does, up to the rounding of bfloat16, whatever is asked of it."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbones import build

from recollect.errors import ModelError
from recollect.model.cache import TrunkCache
from recollect.model.compact import CompactDecoder
from recollect.model.growth import Growth
from recollect.model.language_model import LanguageModel
from recollect.model.native.decoder import NativeDecoder, lacks_for_native
from recollect.model.native.library import lacks_tiles, load_kernel
from recollect.model.ways import available_ways, use_way
from recollect.prompt.branches import Branches
from recollect.prompt.tree import Segment, join_segments

ROUGH = 0.04
"""Root mean square error over standard deviation that eight bits of precision may leave."""

SIZES = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 32, "num_key_value_heads": 2}
needs_tiles = pytest.mark.skipif(lacks_tiles() is not None, reason=str(lacks_tiles()))


def words(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 61, shape).astype(np.int32)


def wide(family: str = "qwen3", **changes: Any) -> LanguageModel:
    return LanguageModel(build(family, **(SIZES | changes)), answers=((7,), (11,))).eval()


def resident() -> int:
    """Count this process's bytes in memory, as Linux does."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:  # other tests have one, which is no team
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).pow(2).mean().sqrt() / expected.std())


@needs_tiles
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral"])
@pytest.mark.parametrize("trunk", [0, 1, 31, 300])
def test_it_answers_as_the_compact_decoder(family: str, trunk: int):
    causal = wide(family, max_position_embeddings=512).causal
    for name, weight in causal.named_parameters():
        if name.endswith("bias"):  # which begin as zeros
            torch.nn.init.normal_(weight)
    exact = CompactDecoder.of(causal)
    assert exact is not None
    native = NativeDecoder.of(exact)
    for count, length, places in ((1, 1, [[0]]), (3, 5, [[4], [0], [2]]), (70, 7, [[1, 6]] * 70), (5, 40, [[39]] * 5)):
        embedded = causal.get_input_embeddings()(torch.from_numpy(words(count, count, length))).detach()
        kept = [torch.from_numpy(np.random.default_rng(9).normal(size=(2, 1, 2, trunk, 32))) for _ in exact.layers]
        narrow = [(keys.bfloat16(), values.bfloat16()) for keys, values in kept] if trunk else []
        wide_trunk = [(keys.float(), values.float()) for keys, values in narrow]
        positions = torch.arange(trunk, trunk + length)[None] + torch.arange(count)[:, None]
        with torch.inference_mode():
            expected = exact.read(embedded, positions, places=torch.tensor(places), trunks=[(count, wide_trunk)])
            found = native.read(embedded, positions, places=torch.tensor(places), trunks=[(count, narrow)])
        assert found.dtype == torch.float32
        assert 0 < error(found, expected) < ROUGH


@needs_tiles
def test_neighbours_and_chunks_change_no_answer():
    model = wide()
    use_way(model, "native-bfloat16")
    cache = model.append(TrunkCache.empty(), join_segments([Segment(words(1, 20), start=0)]))
    branches = Branches.of(words(2, 90, 9), start=20, slots=words(3, 90) % 9)
    together = model.score(cache, branches)
    for chunk in (1, 7, 64):
        torch.testing.assert_close(model.score(cache, branches, chunk=chunk), together, rtol=0, atol=1e-5)


@needs_tiles
@pytest.mark.parametrize("cache", ["as computed", "bfloat16", "int8"])
@pytest.mark.parametrize("event", [1, 5, 140])
def test_an_event_appended_is_the_trunk_read_at_once(event: int, cache: str):
    model = wide()
    use_way(model, "native-bfloat16", cache=cache)
    first, later = Segment(words(1, 20), start=0), Segment(words(4, event), start=20)
    whole = model.append(TrunkCache.empty(), join_segments([first, Segment(words(4, event), start=20, sees=(0,))]))
    grown = model.append(model.append(TrunkCache.empty(), join_segments([first])), join_segments([later]))
    for layer in range(2):
        for found, expected in zip(
            grown.store.read(layer, 20 + event), whole.store.read(layer, 20 + event), strict=True
        ):
            assert error(found.float(), expected.float()) < ROUGH
    branches = Branches.of(words(2, 30, 9), start=20 + event)
    assert error(model.score(grown, branches), model.score(whole, branches)) < ROUGH


@needs_tiles
def test_a_team_gives_one_answer_and_keeps_no_memory():
    causal = build("llama", hidden_size=512, intermediate_size=768, head_dim=32, num_key_value_heads=2)
    model = LanguageModel(causal, answers=((7,), (11,))).eval()
    use_way(model, "native-bfloat16")
    cache = model.append(TrunkCache.empty(), join_segments([Segment(words(1, 8), start=0)]))
    alone, event = Branches.of(words(2, 1, 55), start=8), join_segments([Segment(words(3, 55), start=8)])
    first = model.score(cache, alone)
    before = resident()
    for _ in range(1500):
        assert torch.equal(model.score(cache, alone), first)
        model.append(cache, event)
    assert resident() - before < 64 * 2**20


@needs_tiles
def test_several_trunks_grow_as_each_alone():
    model = wide()
    use_way(model, "native-bfloat16")
    first = model.append(TrunkCache.empty(), join_segments([Segment(words(1, 40), start=0)]))
    growths = [
        Growth.of(first, join_segments([Segment(words(2, 24), start=40)])),
        Growth.of(TrunkCache.empty(), join_segments([Segment(words(3, 9), start=0)])),
    ]
    branches = Branches.of(words(4, 9, 4), start=64)
    for found, growth in zip(model.append_together(growths), growths, strict=True):
        assert torch.equal(
            model.score(found, branches), model.score(model.append(growth.cache, growth.delta), branches)
        )


@needs_tiles
def test_several_questions_share_a_call():
    model = wide()
    use_way(model, "native-bfloat16")
    first = model.append(TrunkCache.empty(), join_segments([Segment(words(1, 40), start=0)]))
    questions = [
        (first, Branches.of(words(2, 9, 4), start=40)),
        (TrunkCache.empty(), Branches.of(words(3, 5, 7), start=0)),
    ]
    for found, question in zip(model.score_together(questions), questions, strict=True):
        torch.testing.assert_close(found, model.score(*question), rtol=0, atol=1e-5)


@needs_tiles
def test_torch_computes_as_before_afterwards():
    matrix = torch.randn(256, 256).bfloat16()
    before = matrix @ matrix
    model = wide()
    use_way(model, "native-bfloat16")
    model.score(TrunkCache.empty(), Branches.of(words(2, 30, 9), start=0))
    assert torch.equal(matrix @ matrix, before)


@needs_tiles
def test_peaked_attention_and_large_states_stay_finite():
    model = wide("llama", initializer_range=1.0)
    stock = model.score(TrunkCache.empty(), Branches.of(words(2, 30, 9), start=0))
    errors: dict[str, float] = {}
    for way in ("compact-bfloat16", "native-bfloat16"):
        use_way(model, way)
        found = model.score(TrunkCache.empty(), Branches.of(words(2, 30, 9), start=0))
        assert torch.isfinite(found).all()
        errors[way] = error(found, stock)
    assert errors["native-bfloat16"] < 1.2 * errors["compact-bfloat16"]


def test_odd_widths_and_machines_without_tiles_are_told(monkeypatch: pytest.MonkeyPatch):
    odd = LanguageModel(build("qwen3"), answers=((7,), (11,)))
    decoder = CompactDecoder.of(odd.causal)
    assert decoder is not None
    assert lacks_for_native(decoder) == lacks_tiles() or "multiples of 32: [16, 48]" in str(lacks_for_native(decoder))
    assert "native-bfloat16" not in available_ways(odd)
    with pytest.raises(ModelError, match="cannot be served in the way 'native-bfloat16'"):
        use_way(odd, "native-bfloat16")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert lacks_tiles() is not None


@needs_tiles
def test_a_kernel_that_cannot_be_built_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "false")
    load_kernel.cache_clear()
    with pytest.raises(ModelError, match="kernel cannot be built"):
        load_kernel()
    assert not list(tmp_path.rglob("*.so"))
    monkeypatch.delenv("CXX")
    load_kernel()
    assert len(list(tmp_path.rglob("*.so"))) == 1
    load_kernel.cache_clear()
