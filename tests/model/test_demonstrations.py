"""Measurements of demonstrations are exact: banks are packed passes, gates are sets, effects are derivatives."""

from functools import cache

import numpy as np
import pytest
import torch
from backbones import build
from one_head import line_of
from peaked import FAMILIES, build_peaked

from recollect.context.effect_readings import path_effects
from recollect.context.effects import Effects, Pool
from recollect.errors import ModelError
from recollect.model.demonstration_bank import Bank, Banks
from recollect.model.demonstrations import effects, predictions
from recollect.model.language_model import LanguageModel
from recollect.prompt.branches import Branches
from recollect.prompt.packing import pack
from recollect.prompt.tree import Segment, join_segments

ANSWERS = (7, 11, 13)
RANDOM = np.random.default_rng(5)
START = RANDOM.integers(1, 61, 5).astype(np.int32)
BLOCKS = [RANDOM.integers(1, 61, length).astype(np.int32) for length in (6, 9, 1, 7)]
TEXTS = RANDOM.integers(1, 61, (3, 8)).astype(np.int32)
SLOTS = np.array([7, 4, 6], np.int32)
LABELS = np.array([0, 1, 2])
ALL = np.ones((len(TEXTS), len(BLOCKS)))
GATES = np.array([[1, 1, 1, 1], [1, 0, 0.3, 1], [2.0, 1, 1, 0]])


@cache
def model_of(family: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    causal = build_peaked(family, dtype=dtype) if family in FAMILIES else build(family)
    return LanguageModel(causal, answers=ANSWERS).eval()


def asked(family: str, **more: torch.dtype) -> tuple[LanguageModel, Bank, Branches]:
    model = model_of(family, **more)
    bank = Banks(model, revision="first").bank(START, BLOCKS)
    return model, bank, Branches.of(TEXTS, start=bank.next_position, slots=SLOTS)


def losses(found: np.ndarray) -> np.ndarray:
    return -np.take_along_axis(found, LABELS[None, :, None], 2)[..., 0]


def packed(model: LanguageModel, sets: np.ndarray) -> np.ndarray:
    """Ask all queries in one packed pass, each seeing its demonstrations only."""
    start = Segment(START, start=0)
    blocks = [Segment(block, start=len(START), sees=(0,)) for block in BLOCKS]
    first = len(START) + max(map(len, BLOCKS))
    leaves = [
        Segment(text, start=first, sees=(0, *(np.flatnonzero(seen) + 1).tolist()), slots=((int(slot), row),))
        for row, (text, slot, seen) in enumerate(zip(TEXTS, SLOTS, sets, strict=True))
    ]
    with torch.inference_mode():
        return model(pack([join_segments([start, *blocks], leaves)])).double().log_softmax(-1).numpy()


@pytest.mark.parametrize("family", [*FAMILIES, "gemma2", "gpt2"])
def test_bank_and_query_pass_are_a_packed_pass(family):
    model, bank, queries = asked(family)
    sets = np.stack([ALL, ALL * 0, GATES > 0]).astype(float)
    found = predictions(model, bank, queries, sets)
    expected = np.stack([packed(model, one) for one in sets])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 0.1  # demonstrations matter here


@pytest.mark.parametrize("family", FAMILIES)
def test_one_shown_demonstration_is_the_ordinary_prompt_with_it(family):
    """The longest one, behind which queries begin without a gap, against the family's own forward pass."""
    model, bank, queries = asked(family)
    longest = int(np.argmax([len(block) for block in BLOCKS]))
    found = predictions(model, bank, queries, (np.arange(len(BLOCKS)) == longest) * ALL[None])[0]
    for text, slot, one in zip(TEXTS, SLOTS, found, strict=True):
        prompt = np.concatenate([START, BLOCKS[longest], text[: slot + 1]]).astype(np.int64)
        with torch.inference_mode():
            logits = model.causal(input_ids=torch.from_numpy(prompt)[None], use_cache=False).logits[0, -1]
        expected = logits[list(ANSWERS)].double().log_softmax(-1).numpy()
        np.testing.assert_allclose(one, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_sets_in_one_call_are_sets_one_by_one(family):
    model, bank, queries = asked(family, dtype=torch.float64)
    sets = np.stack([GATES * (np.arange(len(BLOCKS)) == shown) for shown in range(len(BLOCKS))])
    together = predictions(model, bank, queries, sets)
    alone = np.concatenate([predictions(model, bank, queries, one[None]) for one in sets])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(together, predictions(model, bank, queries, sets))


@pytest.mark.parametrize("family", FAMILIES)
def test_effects_are_central_differences(family):
    model, bank, queries = asked(family, dtype=torch.float64)
    found = effects(model, bank, queries, LABELS, gates=GATES)
    step = 3e-3
    for shown in range(len(BLOCKS)):
        moved = np.exp(step * (np.arange(len(BLOCKS)) == shown))
        upper, lower = losses(predictions(model, bank, queries, np.stack([GATES * moved, GATES / moved])))
        expected = (lower - upper) / (2 * step)
        assert np.abs(found.effect[:, shown] - expected).max() <= 1e-3 * np.abs(found.effect).max()
    assert np.abs(found.effect).max() > 0.01
    assert (found.effect[GATES == 0] == 0).all()
    np.testing.assert_allclose(found.loss, losses(predictions(model, bank, queries, GATES[None]))[0], atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_effects_of_a_query_do_not_depend_on_the_others(family):
    """Rows sum to a shared gate, so order and number of the support change nothing."""
    model, bank, queries = asked(family)
    found = effects(model, bank, queries, LABELS, gates=GATES)
    order = np.array([2, 0, 1])
    turned = Branches.of(TEXTS[order], start=bank.next_position, slots=SLOTS[order])
    again = effects(model, bank, turned, LABELS[order], gates=GATES[order])
    for name in ("loss", "effect", "share"):
        np.testing.assert_allclose(getattr(again, name), getattr(found, name)[order], rtol=0, atol=1e-5)
    np.testing.assert_allclose(again.overlap, found.overlap, rtol=0, atol=1e-5)
    for row in range(len(TEXTS)):
        one = effects(model, bank, queries.take(slice(row, row + 1)), LABELS[row : row + 1], gates=GATES[row : row + 1])
        np.testing.assert_allclose(one.effect[0], found.effect[row], rtol=0, atol=1e-5)


def test_shares_and_overlaps_are_of_what_is_seen():
    model, bank, queries = asked("qwen3")
    found = effects(model, bank, queries, LABELS, gates=GATES)
    assert (found.share[GATES == 0] == 0).all()
    assert (found.share[GATES > 0] > 0).all()
    assert (found.share.sum(1) < 1).all()
    np.testing.assert_allclose(found.overlap, found.overlap.T, atol=1e-12)
    assert (np.diag(found.overlap) == 1).all()
    apart = effects(model, bank, queries, LABELS, gates=np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], float))
    np.testing.assert_allclose(apart.overlap, np.eye(len(BLOCKS)))


@pytest.mark.parametrize("family", FAMILIES)
def test_path_effects_sum_to_the_effect_of_the_set(family):
    """Where attention is so peaked that a gate of e^-9 still shows something, the sum begins there; so not here."""
    model = LanguageModel(build(family), answers=ANSWERS).eval()
    bank = Banks(model, revision="first").bank(START, BLOCKS)
    queries = Branches.of(TEXTS, start=bank.next_position, slots=SLOTS)
    visible, asked_of = GATES > 0, np.arange(len(LABELS))
    line, weights = line_of([0] * 9, [True] * 9), np.full(len(LABELS), 1 / len(LABELS))
    pool = Pool(line, 9, np.arange(len(BLOCKS)), asked_of, visible, weights, LABELS)

    class OfBank:
        def tokens(self, pool: Pool) -> np.ndarray:
            raise NotImplementedError

        def predictions(self, pool: Pool, gates: np.ndarray) -> np.ndarray:
            raise NotImplementedError

        def effects(self, pool: Pool, gates: np.ndarray) -> Effects:
            return effects(model, bank, queries, pool.labels, gates=gates[None] * pool.visible)

    found = path_effects(OfBank(), pool)
    without, shown = losses(predictions(model, bank, queries, np.stack([GATES * 0, visible * 1.0])))
    assert np.abs(without - shown).min() > 1e-3  # or there would be nothing to divide
    missed = np.abs(found.sum(1) - (without - shown)) / np.abs(without - shown)
    assert np.median(missed) <= 0.05
    assert (found[GATES == 0] == 0).all()


def test_equal_demonstrations_have_equal_effects():
    model = model_of("llama")
    bank = Banks(model, revision="first").bank(START, [BLOCKS[0], BLOCKS[1], BLOCKS[0]])
    queries = Branches.of(TEXTS, start=bank.next_position, slots=SLOTS)
    found = effects(model, bank, queries, LABELS, gates=np.ones((len(TEXTS), 3)))
    np.testing.assert_allclose(found.effect[:, 0], found.effect[:, 2], rtol=0, atol=1e-6)
    assert found.overlap[0, 2] == pytest.approx(1, abs=1e-5)


def test_bank_without_a_start():
    model = model_of("llama")
    bank = Banks(model, revision="first").bank(START[:0], BLOCKS)
    queries = Branches.of(TEXTS, start=bank.next_position, slots=SLOTS)
    found = predictions(model, bank, queries, np.stack([ALL, ALL * 0]))
    alone = Banks(model, revision="first").bank(START[:0], BLOCKS[1:2])
    expected = predictions(model, alone, queries, ALL[None, :, :1] * 0)[0]
    np.testing.assert_allclose(found[1], expected, rtol=0, atol=1e-5)


def test_weights_are_left_as_they_were():
    model, bank, queries = asked("llama")
    effects(model, bank, queries, LABELS, gates=ALL)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


def test_blocks_are_encoded_once_and_the_oldest_forgotten():
    banks = Banks(model_of("llama"), revision="first")
    bank = banks.bank(START, BLOCKS)
    assert len(banks) == len(BLOCKS) + 1  # and the start
    each = banks.nbytes // (len(START) + sum(map(len, BLOCKS)))
    again = banks.bank(START, BLOCKS[::-1])
    assert len(banks) == len(BLOCKS) + 1
    for layer, turned in zip(bank.keys, again.keys, strict=True):
        assert torch.equal(layer[:, : len(START)], turned[:, : len(START)])
        assert torch.equal(layer[:, -len(BLOCKS[-1]) :], turned[:, len(START) : len(START) + len(BLOCKS[-1])])
    small = Banks(model_of("llama"), revision="first", limit_bytes=20 * each)
    small.bank(START, BLOCKS)
    assert small.nbytes <= 20 * each
    assert 0 < len(small) < len(BLOCKS) + 1


def test_what_is_kept_is_known_by_start_and_type():
    banks = Banks(model_of("llama"), revision="first")
    bank = banks.bank(START, BLOCKS)
    other = banks.bank(START[1:], BLOCKS)
    assert len(banks) == 2 * (len(BLOCKS) + 1)
    assert not torch.equal(bank.keys[-1][:, len(START) :], other.keys[-1][:, len(START) - 1 :])
    names = {name[:2] for name in banks._kept}
    assert names == {("first", "torch.float32")}


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (LanguageModel(build("gptj"), answers=ANSWERS), "takes no gates"),
        (LanguageModel(build("llama"), answers=((7,), (11, 3))), "answers of one token"),
        (LanguageModel(build("mistral", sliding_window=16), answers=ANSWERS), "reaches farther"),
    ],
    ids=["unpluggable", "long answers", "window"],
)
def test_refusals_say_what_and_what_to_do(model, what):
    def measure() -> None:
        bank = Banks(model.eval(), revision="first").bank(START, BLOCKS)
        queries = Branches.of(TEXTS, start=bank.next_position, slots=SLOTS)
        effects(model, bank, queries, LABELS, gates=ALL)

    with pytest.raises(ModelError, match=what):
        measure()


def test_what_does_not_fit_is_refused():
    model, bank, queries = asked("llama")
    with pytest.raises(ModelError, match="gates do not fit"):
        predictions(model, bank, queries, ALL[None, :, 1:])
    with pytest.raises(ModelError, match="gates do not fit"):
        predictions(model, bank, queries, -ALL[None])
    with pytest.raises(ModelError, match="begin where"):
        predictions(model, bank, Branches.of(TEXTS, start=3), ALL[None])
    with pytest.raises(ModelError, match="needs demonstrations"):
        Banks(model, revision="first").bank(START, [])
