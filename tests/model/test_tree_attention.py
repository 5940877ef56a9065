"""Attention by blocks gives the loss and the gradients of the dense mask, for any relation."""

import numpy as np
import pytest
import torch
from backbones import build
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.model.language_model import LanguageModel
from recollect.model.tree_attention import cut_blocks, tree_plan
from recollect.prompt.packing import Packed, pack
from recollect.prompt.tree import PromptTree, Segment, join_segments

ANSWERS = ((7,), (11,))


def draw_tree(seed: int, *, shared: int, leaves: int, most: int = 7) -> PromptTree:
    """Make a tree whose segments of at most so many tokens see shared ones at random."""
    random = np.random.default_rng(seed)
    made: list[Segment] = []
    for number in range(shared + leaves):
        sees = tuple(np.flatnonzero(random.random(min(number, shared)) < 0.7).tolist())
        tokens = random.integers(1, 61, int(random.integers(1, most + 1))).astype(np.int32)
        made.append(Segment(tokens, start=5 * number, sees=sees, slots=((len(tokens) - 1, number),)))
    return join_segments(made[:shared], made[shared:])


def learned(model: LanguageModel, packed: Packed) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model.zero_grad()
    loss = model(packed).float().log_softmax(-1)[:, 0].mean()
    loss.backward()
    return loss.detach(), [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("again", [False, True], ids=["kept", "computed again"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "gemma2"])
def test_loss_and_gradients_are_those_of_the_dense_mask(family, again):
    model = LanguageModel(build(family), answers=ANSWERS).train()
    model.causal.config.attn_pdrop = 0.0
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    if again:
        model.causal.activation_checkpointing_enable()
    packed = pack([draw_tree(seed, shared=6, leaves=9, most=40) for seed in range(4)])
    assert tree_plan(model.causal, packed.mask, dtype=torch.float32, added=model._added_mask) is not None
    by_blocks = learned(model, packed)
    model.pluggable = False  # attention without a plan takes the dense mask
    torch.testing.assert_close(by_blocks, learned(model, packed), rtol=0, atol=1e-5)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 999), st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=4))
def test_blocks_cover_what_is_seen(forest):
    mask = pack([draw_tree(seed, shared=shared, leaves=leaves) for seed, shared, leaves in forest]).mask
    for row in mask:
        left, asked = row.copy(), []
        for block in cut_blocks(row, queries=4):
            asked += block.queries
            left[np.ix_(np.array(block.queries), np.array(block.keys))] = False
        assert asked == list(range(len(row)))
        assert not left.any()


def test_a_trunk_with_branches_computes_about_half_of_the_dense_mask():
    trunk = Segment(np.ones(1024, np.int32), start=0)
    leaves = [Segment(np.ones(24, np.int32), start=1024, sees=(0,)) for _ in range(8)]
    mask = join_segments([trunk], leaves).mask()
    assert sum(len(block.queries) * len(block.keys) for block in cut_blocks(mask)) < 0.57 * mask.size


@pytest.mark.parametrize("why", ["short", "dropout", "idle cores"])
def test_the_dense_mask_stays_where_blocks_do_not_help(why, monkeypatch):
    model = LanguageModel(build("llama"), answers=ANSWERS).train()
    mask = np.tri(64 if why == "short" else 512, dtype=np.bool_)[None]
    model.causal.config.attention_dropout = 0.1 if why == "dropout" else 0.0
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64 if why == "idle cores" else 1)
    dtypes = (torch.float32, torch.bfloat16) if why == "dropout" else (torch.float32,)
    assert all(tree_plan(model.causal, mask, dtype=dtype, added=model._added_mask) is None for dtype in dtypes)
