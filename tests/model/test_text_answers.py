"""Answers of several tokens: packed, continued and cached, they weigh what the stock model says of the whole texts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recollect.errors import ModelError
from recollect.model.answer_head import answer_log_probs, answer_logits
from recollect.model.answer_tokens import AnswerTokens
from recollect.model.cache import TrunkCache
from recollect.model.language_model import LanguageModel
from recollect.prompt.answers import Answers as TextAnswers
from recollect.prompt.branches import Branches
from recollect.prompt.continuations import with_continuations
from recollect.prompt.growth import attach
from recollect.prompt.packing import pack
from recollect.prompt.tree import PromptTree, Segment, join_segments

EXACT: dict[str, Any] = {"rtol": 0, "atol": 1e-5}
Models = Callable[[str], LanguageModel]
Answers = tuple[tuple[int, ...], ...]

KINDS: dict[str, Answers] = {
    "one and two": ((7,), (11, 3)),
    "three and two": ((7, 2, 9), (11, 3)),
    "alike at first": ((7, 2), (7, 5, 9)),
    "a letter each of three": ((7, 2), (11,), (13, 7, 7)),
}


@pytest.fixture(params=tuple(KINDS))
def answers(request: pytest.FixtureRequest) -> Answers:
    return KINDS[request.param]


def words(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 61, shape).astype(np.int32)


def by_stock(model: LanguageModel, prompt: np.ndarray, answers: Answers) -> np.ndarray:
    """Add up the stock model's log-probabilities of each answer's tokens after an ordinary prompt."""
    found: list[float] = []
    for answer in answers:
        ids = torch.tensor([[*prompt.tolist(), *answer]])
        with torch.inference_mode():
            log_probs = model.causal(input_ids=ids).logits[0].log_softmax(-1)
        places = range(len(prompt) - 1, len(prompt) - 1 + len(answer))
        found.append(sum(float(log_probs[place, token]) for place, token in zip(places, answer, strict=True)))
    return np.array(found, np.float32)


def questions(seed: int, answers: Answers) -> PromptTree:
    """Ask two questions after one trunk, each with its answers written out behind it."""
    shared = [Segment(words(seed, 4), start=0)]
    leaves: list[Segment] = []
    for number in range(2):
        shared.append(Segment(words(seed + 9 + number, 3), start=4, sees=(0,), slots=((2, number),)))
        for answer in answers:
            shown = np.array(answer[:-1], np.int32)
            slots = tuple((place, number) for place in range(len(shown)))
            leaves += [Segment(shown, start=7, sees=(0, len(shared) - 1), slots=slots)] if slots else []
    tree = join_segments(shared, leaves)
    order = np.argsort(tree.slot_rows, kind="stable")
    return replace(tree, slots=tree.slots[order], slot_rows=tree.slot_rows[order])


def test_packed_questions_weigh_whole_texts(named_family: str, answers: Answers, language_model: Models):
    model = LanguageModel(language_model(named_family).causal, answers=answers).eval()
    batch = [questions(seed, answers) for seed in range(3)]
    with torch.inference_mode():
        logits = model(pack(batch)).numpy()
    k = model.slots_per_question
    prompts = [tree.tokens[row] for tree in batch for row in tree.mask()[tree.slots[::k]]]
    np.testing.assert_allclose(logits, [by_stock(model, prompt, answers) for prompt in prompts], **EXACT)


def test_warm_branches_weigh_whole_texts(family: str, answers: Answers, language_model: Models):
    model = LanguageModel(language_model(family).causal, answers=answers).eval()
    trunk = Segment(words(1, 6), start=0)
    cache = model.append(TrunkCache.empty(), join_segments([trunk]))
    ragged = Branches.of(words(2, 5, 4), start=6, slots=np.array([3, 0, 2, 3, 1], np.int32))
    expected = [
        by_stock(model, np.concatenate([trunk.tokens, tokens[: slot + 1]]), answers)
        for tokens, slot in zip(ragged.tokens, ragged.slots, strict=True)
    ]
    for chunk in (None, 2):
        np.testing.assert_allclose(model.score(cache, ragged, chunk=chunk), expected, **EXACT)
    assert model.score(cache, ragged.take(slice(0))).shape == (0, len(answers))


def test_answers_written_out_behind_a_question_weigh_as_warm_branches_do(named_family: str, language_model: Models):
    tokens = ((7, 2, 9), (11, 3))
    model = LanguageModel(language_model(named_family).causal, answers=tokens).eval()
    trunk, branches = join_segments([Segment(words(6, 5), start=0)]), Branches.of(words(7, 4, 3), start=5)
    asked = with_continuations(attach(trunk, branches), TextAnswers(words=("no", "yes"), tokens=tokens))
    with torch.inference_mode():
        packed = model(pack([asked])).numpy()
    np.testing.assert_allclose(model.score(model.append(TrunkCache.empty(), trunk), branches), packed, **EXACT)


@pytest.mark.parametrize("kind", ["three and two", "alike at first"])
def test_incremental_equals_from_scratch(named_family: str, kind: str, language_model: Models):
    model = LanguageModel(language_model(named_family).causal, answers=KINDS[kind]).eval()
    first, second = Segment(words(3, 4), start=0), Segment(words(4, 3), start=4, sees=(0,))
    grown = model.append(
        model.append(TrunkCache.empty(), join_segments([first])), join_segments([replace(second, sees=())])
    )
    whole = model.append(TrunkCache.empty(), join_segments([first, second]))
    branches = Branches.of(words(5, 3, 2), start=7)
    np.testing.assert_allclose(model.score(grown, branches), model.score(whole, branches), **EXACT)


def test_one_token_answers_differ_by_their_logits(language_model: Models):
    """The log-probability of one token and its logit differ by what all answers share."""
    model = language_model("llama")
    hidden = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    logits = answer_logits(model.causal, hidden, model.answers)
    log_probs = answer_log_probs(model.causal, hidden, model.answers.expand(4, -1))
    torch.testing.assert_close(log_probs.diff(), logits.diff(), rtol=0, atol=1e-5)


def test_many_slots_are_computed_in_parts_with_the_gradients_of_one(language_model: Models):
    causal = language_model("gemma2").causal  # caps its logits
    tokens = torch.arange(1400).view(700, 2) % 61

    def slope(log_probs: Callable[[Tensor], Tensor]) -> Tensor:
        hidden = torch.randn(700, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
        return torch.autograd.grad(log_probs(hidden).square().mean(), hidden)[0]

    def at_once(hidden: Tensor) -> Tensor:
        logits = cast(torch.nn.Module, causal.get_output_embeddings())(hidden)
        return (3 * torch.tanh(logits / 3)).log_softmax(-1).gather(1, tokens)

    torch.testing.assert_close(slope(lambda hidden: answer_log_probs(causal, hidden, tokens)), slope(at_once))


@given(st.integers(1, 4), st.data())
def test_continuing_keeps_what_was_asked(count: int, data: st.DataObject):
    slots = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)), np.int32)
    branches = Branches.of(words(0, count, 3), start=5, slots=slots)
    ((longer, places),) = AnswerTokens.of([1, (2, 3, 4)]).continued(branches)
    assert places.tolist() == [[slot, slot + 1, slot + 2] for slot in slots.tolist()]
    for row, slot in enumerate(slots.tolist()):
        assert longer.tokens[row, : slot + 3].tolist() == [*branches.tokens[row, : slot + 1].tolist(), 2, 3]
        assert longer.positions[row, : slot + 3].tolist() == list(range(5, 8 + slot))


def test_what_cannot_be_answers_is_refused(language_model: Models):
    for wrong in ((), ((),), (7, (7,))):
        with pytest.raises(ModelError, match="stand for answers"):
            AnswerTokens.of(wrong)
    model = LanguageModel(language_model("llama").causal, answers=((7,), (11, 3)))
    with pytest.raises(ModelError, match="a multiple of 2"):
        model(pack([join_segments([Segment(words(0, 3), start=0, slots=((2, 0),))])]))
