"""The answer head: of the output layer only the rows of the answers are computed, and only where they are asked."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from backbones import build
from recorded import Recorded
from torch import nn
from worlds import planted_world, small_block

from recollect.model.answer_head import learns_in_one_table
from recollect.model.cache import TrunkCache
from recollect.model.language_model import LanguageModel
from recollect.progress import SILENT
from recollect.prompt.branches import Branches
from recollect.prompt.packing import pack
from recollect.prompt.tree import PromptTree, Segment, join_segments
from recollect.rank.recommender import Recommender
from recollect.tuning.checkpoint import CheckpointFile
from recollect.tuning.loop import TuningLoop
from recollect.tuning.run import prepare
from recollect.tuning.selection import Judge

ROWS = 59
"""Of the output layer: a number of columns that nothing else in these models has; nor has 5, of the answers."""

FIVE = ((7,), (11,), (13,), (17,), (19,))
SLOPE = (32, 5)
"""Of the answers' rows of the output layer."""


def asked_thrice() -> PromptTree:
    words = np.arange(1, 15, dtype=np.int32)
    leaves = [Segment(words[at : at + 3], start=6, sees=(0,), slots=((2, at),)) for at in (6, 9)]
    return join_segments([Segment(words[:6], start=0, slots=((4, 0),))], leaves)


@pytest.fixture
def model(family: str) -> LanguageModel:
    return LanguageModel(build(family, vocab_size=ROWS), answers=FIVE)


def test_tuning_computes_the_answers_at_the_slots_alone(model: LanguageModel):
    with Recorded() as seen:
        model.train()(pack([asked_thrice()] * 4)).square().sum().backward()
    assert seen.products(columns=5) - {SLOPE} == {(12, 5)}
    assert seen.results(columns=ROWS) == set()


def layers(model: LanguageModel) -> tuple[Any, Any]:
    return model.causal.get_input_embeddings(), model.causal.get_output_embeddings()


@pytest.mark.parametrize("family", ["qwen3", "gpt2", "cohere", "gemma", "gemma2"])
def test_one_table_has_one_gradient_the_sum_of_both(family: str, model: LanguageModel):
    def learn(some: LanguageModel) -> Recorded:
        with Recorded() as seen:
            some.eval()(pack([asked_thrice()])).square().sum().backward()  # without dropout
        return seen

    table, head = layers(model)
    apart = deepcopy(model)
    layers(apart)[1].weight = nn.Parameter(head.weight.detach().clone())
    seen = learn(model)
    learn(apart)
    assert head.weight is table.weight
    of_rows, of_answers = (layer.weight.grad for layer in layers(apart))
    torch.testing.assert_close(table.weight.grad, of_rows + of_answers, rtol=1e-5, atol=1e-6)
    looked_up_as_they_are = not family.startswith("gemma")  # which scales what it looks up
    assert learns_in_one_table(model.causal, model.answers) == looked_up_as_they_are
    if looked_up_as_they_are:
        made = [name for name, shape in seen.shapes if shape == tuple(table.weight.shape) and "detach" not in name]
        assert made == ["embedding_dense_backward.default"]


def test_scoring_computes_the_answers_at_the_slots_alone(model: LanguageModel):
    trunk = join_segments([Segment(np.arange(1, 7, dtype=np.int32), start=0)])
    branches = Branches.of(np.arange(7, 28, dtype=np.int32).reshape(7, 3), start=6)
    model.eval()
    with Recorded() as seen, torch.inference_mode():
        model(pack([asked_thrice()] * 4))
        model.score(model.append(TrunkCache.empty(), trunk), branches)
    assert seen.products(columns=5) == {(12, 5), (7, 5)}
    assert seen.results(columns=ROWS) == set()


def test_a_whole_output_layer_would_be_noticed(model: LanguageModel):
    with Recorded() as seen, torch.inference_mode():
        model.causal(input_ids=torch.arange(8)[None])
    assert (1, 8, ROWS) in seen.results(columns=ROWS)


def test_neither_a_tuning_nor_a_ranking_asks_for_more(tmp_path):
    """The whole flow: steps of tuning, judging on validation rows, and a list of recommendations."""
    world = planted_world(events=200)
    task = prepare(world, recipe=small_block("recicl", "backbone.vocabulary=397", "tuning.rows=40"))
    whole = len(task.tuned.vocabulary)
    assert whole == 397
    checkpoint = CheckpointFile.beside(tmp_path / "run", fingerprint="")
    loop = TuningLoop(
        task.tuned, epochs=task.epochs, judge=Judge(task.answerer, task.choosing).judge, checkpoint=checkpoint
    )
    with Recorded() as seen:
        state = loop.run(progress=SILENT)
        Recommender(task.tuned, world).recommend("u3", top=3)
    assert state.step > 1
    assert seen.results(columns=whole) == set()
