"""Lessons: both forms ask the same labels, and a sample alone is answered as its slot in our tree."""

import numpy as np
import pytest
import torch

from recollect.bench.cost import Dimensions
from recollect.bench.lessons import recicl_lessons, shared_lessons, stream_lessons
from recollect.bench.questions import ANSWERS
from recollect.bench.shapes import SHAPES, build_backbone
from recollect.bench.trainers import PackedTrainer, StockTrainer
from recollect.model.language_model import LanguageModel
from recollect.prompt.packing import pack
from recollect.prompt.vocabulary import DISLIKE, LIKE

VOCABULARY = SHAPES["tiny"].vocabulary
LESSONS = {
    "recicl": recicl_lessons(prompts=2, answers=3, vocabulary=VOCABULARY),
    "shared": shared_lessons(trunk=30, branches=3, vocabulary=VOCABULARY),
    "stream": stream_lessons(events=4, vocabulary=VOCABULARY),
}
NAMES = pytest.mark.parametrize("name", LESSONS)


@NAMES
def test_every_label_has_a_slot_and_a_sample(name):
    lessons = LESSONS[name]
    slots = sum(len(tree.slots) for tree in lessons.trees)
    assert slots == len(lessons.samples) == len(lessons.labels)


@NAMES
def test_a_sample_ends_with_its_answer(name):
    lessons = LESSONS[name]
    words = (DISLIKE, LIKE) if name == "stream" else ANSWERS
    assert [sample[-1] for sample in lessons.samples] == [words[int(label)] for label in lessons.labels]


@pytest.mark.parametrize("name", ["shared", "stream"])
def test_a_sample_alone_is_answered_as_its_slot(name):
    lessons = LESSONS[name]
    causal = build_backbone("tiny", dtype=torch.float32, device=torch.device("cpu"))
    with torch.inference_mode():
        ours = LanguageModel(causal, answers=ANSWERS)(pack(lessons.trees))
        prompts = [torch.from_numpy(sample[:-1].astype(np.int64))[None] for sample in lessons.samples]
        alone = torch.cat([causal(input_ids=prompt).logits[:, -1, list(ANSWERS)] for prompt in prompts])
    torch.testing.assert_close(ours, alone, atol=1e-5, rtol=0)


def test_the_last_block_of_a_recicl_prompt_is_asked_behind_all_others():
    lessons = LESSONS["recicl"]
    assert np.array_equal(lessons.samples[2], lessons.trees[0].tokens)
    assert len({len(sample) for sample in lessons.samples}) == 1  # no padding


def test_arithmetic_counts_full_logits_on_the_plain_side_only():
    lessons = LESSONS["shared"]
    sizes = Dimensions(width=2, layers=1, heads=1, key_value_heads=1, head_width=2, feed_forward=3, vocabulary=10)
    tokens = 3 * (30 + 24 + 1)
    pairs = 3 * 55 * 56 // 2
    assert lessons.plain_cost(sizes).flops == 3 * (2 * 34 * tokens + 4 * 2 * pairs + 2 * 2 * tokens * 10)


@NAMES
def test_both_trainers_take_a_step(name):
    lessons = LESSONS[name]
    causal = build_backbone("tiny", dtype=torch.float32, device=torch.device("cpu"))
    stock, ours = StockTrainer(causal, narrow=False), PackedTrainer(causal, narrow=False)
    stock.step(lessons.samples, batch=2)
    ours.step(lessons)
    start = next(causal.parameters())
    for tuned in (stock.causal, ours.model.causal):
        assert not torch.equal(next(tuned.parameters()), start)
        assert all(weight.grad is None for weight in tuned.parameters())
