"""The budget: no prompt reaches farther than the model reads, the answers behind it and within it included."""

from dataclasses import replace

import numpy as np
import pytest
from blocks import context_of, prompter_of, random_log, told_log
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.context.demonstrations import DemonstrationSettings
from recollect.context.evidence import HistoryView
from recollect.errors import PromptError
from recollect.prompt.answers import AnswerSettings
from recollect.prompt.block import BlockSettings
from recollect.prompt.block_prompter import BlockPrompter

NO_FEATURES = np.zeros((1, 4), np.float32)


def spanning(prompter: BlockPrompter, span: int) -> BlockPrompter:
    """Let a prompter write for a model that looks across so many positions."""
    return replace(prompter, layout=replace(prompter.layout, span=span))


@settings(max_examples=25)
@given(
    span=st.integers(100, 300),
    seed=st.integers(0, 99),
    like=st.sampled_from(["yes", "gladly"]),
    form=st.sampled_from(["plain", "lists", "stars"]),
    more=st.sampled_from([{}, {"numbered": True}, {"chat": True}]),
    supervise=st.sampled_from(["last", "all"]),
    delay=st.integers(0, 20),
)
def test_no_token_stands_where_the_model_does_not_look(span, seed, like, form, more, supervise, delay):
    block, answers = BlockSettings(form=form, title_tokens=8, **more), AnswerSettings(like=like)
    whole = prompter_of(block, view=HistoryView(shown=4), solved=DemonstrationSettings(count=4), answers=answers)
    prompter = replace(spanning(whole, span), supervise=supervise, blocks=6)
    context, rows = context_of(random_log(count=18, span=40, seed=seed), delay=delay), np.arange(18)
    random = np.random.default_rng(seed)
    lessons = [lesson.tree(random) for lesson in prompter.lessons(context, rows, random=random)]
    for trees in (lessons, list(prompter.replay(context, rows, blind=False))):
        assert all(int(tree.positions.max()) < span for tree in trees)
        assert sorted({row for tree in trees for row in tree.slot_rows.tolist()}) == rows.tolist()
    question = prompter.question(context.timeline(0), context.log.item[:1], NO_FEATURES)
    asked = int(question.branches.positions[0, question.branches.slots[0]])
    assert asked + prompter.layout.answer_length - 1 < span


@pytest.mark.parametrize("like", ["yes", "gladly"])
def test_a_run_ends_before_the_model_does_whatever_it_reads(like):
    whole = replace(prompter_of(answers=AnswerSettings(like=like)), supervise="all", blocks=6)
    context, rows, random = context_of(told_log()), np.arange(10), np.random.default_rng(0)
    reached: set[int] = set()
    for span in range(80, 180):
        lessons = spanning(whole, span).lessons(context, rows, random=random)
        spare = span - 1 - max(int(lesson.tree(random).positions.max()) for lesson in lessons)
        assert spare >= 0
        reached.add(spare)
    assert 0 in reached


@pytest.mark.parametrize(("like", "spare"), [("yes", 0), ("gladly", 6)])
def test_what_the_model_reads_to_the_last_position_is_shown_whole(like, spare):
    prompter = prompter_of(solved=DemonstrationSettings(count=0), answers=AnswerSettings(like=like))
    assert prompter.layout.answer_length - 1 == spare
    line = context_of(random_log(count=25, span=60, seed=1)).timeline(1)
    longest = max(range(10), key=lambda item: len(prompter.layout.title(item)))
    room = prompter.layout.longest - len(prompter.layout.title(longest))
    whole = prompter.question(line, np.array([longest], np.int32), NO_FEATURES)
    needed = int(whole.branches.positions[0, whole.branches.slots[0]]) + 1 + room + spare
    for span, dropped in ((needed, 0), (needed - 1, 1)):
        cut = spanning(prompter, span).question(line, np.array([longest], np.int32), NO_FEATURES)
        assert cut.dropped.events == dropped


def test_a_question_longer_than_the_model_reads_says_so():
    prompter = spanning(prompter_of(), 40)
    line = context_of(random_log(count=25, span=60, seed=1)).timeline(1)
    with pytest.raises(PromptError, match="longer context") as caught:
        prompter.question(line, np.array([0], np.int32), NO_FEATURES)
    assert "at most 40 tokens" in str(caught.value)


def test_the_setting_stays_the_bound_of_a_model_that_reads_more():
    layout = prompter_of(BlockSettings(budget=90), answers=AnswerSettings(like="gladly")).layout
    assert [replace(layout, span=span).budget for span in (50, 95, 96, 97, 4096)] == [44, 89, 90, 90, 90]
