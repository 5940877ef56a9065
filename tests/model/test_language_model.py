"""Packed trees answer as the stock model answers ordinary prompts, one by one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import MistralConfig, MistralForCausalLM

from recollect.errors import ModelError
from recollect.model.language_model import LanguageModel
from recollect.prompt.packing import pack
from recollect.prompt.tree import NO_ITEM, PromptTree, Segment, join_segments

EXACT: dict[str, Any] = {"rtol": 0, "atol": 1e-5}
Models = Callable[[str], LanguageModel]
Stock = Callable[[str, np.ndarray], np.ndarray]


def answers(model: LanguageModel, trees: list[PromptTree], **options: int) -> np.ndarray:
    with torch.inference_mode():
        return model(pack(trees, **options)).numpy()


def one_by_one(family: str, stock: Stock, trees: list[PromptTree]) -> np.ndarray:
    """Spell out what each slot sees as a prompt of its own, for trees whose segments see their whole path."""
    return np.stack([stock(family, tree.tokens[row]) for tree in trees for row in tree.mask()[tree.slots]])


def random_tree(seed: int, *, parents: list[int], leaves: int) -> PromptTree:
    """Make a tree of segments of 1 to 4 tokens, each after the path to its parent, asked at every last token."""
    random = np.random.default_rng(seed)
    paths: list[tuple[int, ...]] = []
    made: list[Segment] = []
    ends: list[int] = []
    for number, parent in enumerate(parents):
        path = (*paths[parent], parent) if parent >= 0 else ()
        count = int(random.integers(1, 5))
        start = ends[parent] if parent >= 0 else 0
        words = random.integers(1, 61, count).astype(np.int32)
        made.append(Segment(words, start=start, sees=path, slots=((count - 1, number),)))
        paths.append(path)
        ends.append(start + count)
    split = len(made) - leaves
    return join_segments(made[:split], made[split:])


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, list[int], int]:
    """Draw the arguments of a random forest: shared segments, and leaves under them."""
    shared = [draw(st.integers(-1, number - 1)) for number in range(draw(st.integers(1, 4)))]
    leaves = draw(st.lists(st.integers(-1, len(shared) - 1), max_size=3))
    return draw(st.integers(0, 999)), [*shared, *leaves], len(leaves)


def test_packed_equals_one_by_one(family: str, language_model: Models, stock: Stock):
    batch = [random_tree(seed, parents=[-1, 0, 0, 1, 1, 2], leaves=3) for seed in range(4)]
    alone = one_by_one(family, stock, batch)
    np.testing.assert_allclose(answers(language_model(family), batch), alone, **EXACT)
    assert alone.std(axis=0).min() > 0.05, "answers that hardly differ would prove nothing"


@settings(max_examples=25)
@given(st.lists(plans(), min_size=1, max_size=4))
def test_any_forest_of_any_trees_packs_exactly(
    language_model: Models, stock: Stock, forest: list[tuple[int, list[int], int]]
):
    batch = [random_tree(seed, parents=parents, leaves=leaves) for seed, parents, leaves in forest]
    np.testing.assert_allclose(answers(language_model("qwen3"), batch), one_by_one("qwen3", stock, batch), **EXACT)


def test_neighbours_row_length_and_padding_change_nothing(named_family: str, language_model: Models):
    model = language_model(named_family)
    batch = [random_tree(seed, parents=[-1, 0, 0], leaves=2) for seed in range(5)]
    alone = np.concatenate([answers(model, [tree]) for tree in batch])
    for options in ({"length": 200}, {"length": 16}, {"rows": 9}):
        np.testing.assert_allclose(answers(model, batch, **options), alone, **EXACT)


def test_only_what_is_seen_matters(named_family: str, language_model: Models):
    model = language_model(named_family)
    words = np.array([3, 4], np.int32)
    blocks = [Segment(words, start=0), *(Segment(words, start=2, sees=(0,)) for _ in range(2))]
    asked = [Segment(words, start=4, sees=seen, slots=((1, 0),)) for seen in ((0, 1), (0, 2), (0, 1, 2))]
    tree = join_segments(blocks, asked)
    changed = tree.tokens.copy()
    changed[2:4] = 50  # segment 1
    before, after = answers(model, [tree]), answers(model, [replace(tree, tokens=changed)])
    np.testing.assert_allclose(after[1], before[1], rtol=0, atol=1e-6)
    assert np.abs(after[[0, 2]] - before[[0, 2]]).min() > 1e-3


def test_events_of_one_instant_agree_with_the_stock_mask(named_family: str, language_model: Models):
    """Two events that do not see each other, then one that sees both: no ordinary prompt says that, a mask does."""
    words = np.array([3, 9], np.int32)
    tied = [Segment(words + n, start=2, sees=(0,), slots=((0, n),)) for n in range(2)]
    tree = join_segments([Segment(words, start=0), *tied], [Segment(words, start=4, sees=(0, 1, 2), slots=((0, 2),))])
    model = language_model(named_family)
    mask = torch.zeros(len(tree), len(tree)).masked_fill_(torch.from_numpy(~tree.mask()), float("-inf"))
    with torch.inference_mode():
        stock = model.causal(
            input_ids=torch.from_numpy(tree.tokens)[None].long(),
            attention_mask=mask[None, None],
            position_ids=torch.from_numpy(tree.positions)[None].long(),
        )
    expected = stock.logits[0, tree.slots][:, list(model.answers)].numpy()
    np.testing.assert_allclose(answers(model, [tree]), expected, **EXACT)


def test_a_wrapped_backbone_still_serves_ordinary_padded_batches(named_family: str, language_model: Models):
    causal = language_model(named_family).causal
    ids = torch.tensor([[5, 6, 7, 0, 0]])
    with torch.inference_mode():
        padded = causal(input_ids=ids, attention_mask=(ids > 0).long()).logits[0, 2]
        alone = causal(input_ids=ids[:, :3]).logits[0, 2]
    torch.testing.assert_close(padded, alone, rtol=0, atol=1e-5)


def test_every_slot_takes_part_in_the_gradient(named_family: str, language_model: Models):
    model = language_model(named_family)
    tree = random_tree(3, parents=[-1, 0, 1, 1], leaves=2)
    logits = model(pack([tree]))
    embedding = cast(torch.Tensor, model.causal.get_input_embeddings().weight)
    slopes = [torch.autograd.grad(logits[n, 0], embedding, retain_graph=True)[0] for n in range(len(logits))]
    for number, slope in enumerate(slopes):
        assert slope[tree.tokens[tree.slots[number]]].abs().sum() > 0
    assert min(float((a - b).abs().max()) for n, a in enumerate(slopes) for b in slopes[:n]) > 1e-4
    torch.testing.assert_close(torch.autograd.grad(logits[:, 0].sum(), embedding)[0], sum(slopes))


def test_bfloat16_stays_near_and_answers_in_float32(named_family: str, language_model: Models):
    batch = [random_tree(seed, parents=[-1, 0, 0], leaves=2) for seed in range(5)]
    exact = answers(language_model(named_family), batch)
    with torch.autocast("cpu", torch.bfloat16):
        rough = answers(language_model(named_family), batch)
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - exact).max() < 0.1 * exact.std()


class Doubling(nn.Module):
    """Give a soft token twice its placeholder, plus its features and a vector of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Embedding(4, 32)

    def forward(self, items: torch.Tensor, features: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        return 2 * embedded + self.own(items) + features.sum(1, keepdim=True)


def soft_tree() -> PromptTree:
    tree = random_tree(1, parents=[-1, 0, 0], leaves=2)
    items = np.full(len(tree), NO_ITEM, np.int32)
    items[[0, -1]] = [2, 3]
    return replace(tree, items=items, features=np.ones((len(tree), 2), np.float32))


def test_soft_tokens_enter_through_the_item_channel(named_family: str, language_model: Models):
    torch.manual_seed(0)
    plain = language_model(named_family)
    channel = Doubling()
    model = LanguageModel(plain.causal, answers=plain.answer_tokens.tokens, channel=channel)
    tree = soft_tree()
    inputs = plain.causal.get_input_embeddings()(torch.from_numpy(tree.tokens)).detach()
    inputs[[0, -1]] = 2 * inputs[[0, -1]] + channel.own(torch.tensor([2, 3])) + 2
    path = np.flatnonzero(tree.mask()[-1])
    with torch.inference_mode():
        stock = plain.causal(inputs_embeds=inputs[None, path]).logits[0, -1, list(plain.answers)]
    np.testing.assert_allclose(answers(model, [tree])[-1], stock.numpy(), **EXACT)
    model(pack([tree]))[-1, 0].backward()
    assert channel.own.weight.grad is not None
    assert channel.own.weight.grad.abs().sum(1).gt(0).tolist() == [False, False, True, True]


def test_soft_tokens_without_a_channel_are_refused(language_model: Models):
    with pytest.raises(ModelError, match="item channel"):
        answers(language_model("llama"), [soft_tree()])


def test_positions_beyond_the_backbone_are_refused(language_model: Models):
    far = join_segments([Segment(np.array([1], np.int32), start=256)])
    with pytest.raises(ModelError, match="below 256"):
        answers(language_model("gpt2"), [far])


def test_a_sliding_window_limits_the_reach():
    config = MistralConfig(
        vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=12,
    )  # fmt: skip
    assert LanguageModel(MistralForCausalLM(config), answers=((1,), (2,))).span_limit == 12
