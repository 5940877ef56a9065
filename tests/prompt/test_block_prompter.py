"""Blocks for rows, for tuning and for queries: one text in all three, every row once, nothing that is not known yet."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from blocks import TITLES, context_of, prompter_of, random_log, told_log
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.context.controls import ControlSettings, shuffled_labels
from recollect.context.demonstrations import DemonstrationSettings
from recollect.context.evidence import Context, HistoryView
from recollect.errors import LeakError
from recollect.prompt.answers import AnswerSettings
from recollect.prompt.block import BlockSettings
from recollect.prompt.block_prompter import BlockPrompter
from recollect.prompt.prompter import NO_EVENT
from recollect.prompt.show import describe
from recollect.prompt.tree import PromptTree

INTRO = "<s>One person and one title at a time: will they like it? Answer yes or no."
ASKED = "\nWill this person like"


def told(context: Context, row: int, *, solved: int, shown: int = 3) -> str:
    """Write the prompt of a row by the definition: recent likes, and the most recent known events with answers."""
    log, past = context.log, context.past

    def block(one: int) -> str:
        mine = past.rows(int(log.user[one]))[: past.visible[one]]
        likes = [f' "{TITLES[log.item[event]]}"' for event in mine if log.label[event]][-shown:]
        return f'\nLiked:{"".join(likes) or " nothing"}{ASKED} "{TITLES[log.item[one]]}"? Answer:'

    mine = past.rows(int(log.user[row]))[: past.visible[row]].tolist()
    answered = [block(one) + (" yes" if log.label[one] else " no") for one in mine[len(mine) - solved :]]
    return INTRO + "".join(answered) + block(row)


def read(prompter: BlockPrompter, tree: PromptTree) -> dict[int, str]:
    """Return the text that each slot of a tree sees, and hold that it stands where that text says."""
    vocabulary, mask = prompter.layout.phrases.vocabulary, tree.mask()
    texts: dict[int, str] = {}
    for slot, row in zip(tree.slots, tree.slot_rows.tolist(), strict=True):
        seen = np.flatnonzero(mask[slot])
        order = np.argsort(tree.positions[seen])
        assert tree.positions[seen][order].tolist() == list(range(len(seen)))
        texts[row] = vocabulary.decode(tree.tokens[seen][order])
    return texts


def read_all(prompter: BlockPrompter, trees: Iterable[PromptTree]) -> dict[int, str]:
    """Return the text of every slot of many trees, and hold that no row is asked twice."""
    texts: dict[int, str] = {}
    for tree in trees:
        found = read(prompter, tree)
        assert not texts.keys() & found.keys()
        assert len(found) == len(tree.slots)
        texts |= found
    return texts


def lessons(prompter: BlockPrompter, context: Context, rows: np.ndarray, *, seed: int = 0) -> list[PromptTree]:
    """Lay out all lessons of an epoch."""
    random = np.random.default_rng(seed)
    return [lesson.tree(random) for lesson in prompter.lessons(context, rows, random=random)]


logs = {
    "count": st.integers(1, 25),
    "span": st.integers(1, 60),
    "seed": st.integers(0, 10_000),
    "ties": st.sampled_from(["exclude", "order"]),
    "delay": st.integers(0, 20),
}


@given(**logs)
def test_replay_and_lessons_show_each_row_what_the_definition_says(count, span, seed, ties, delay):
    context = context_of(random_log(count=count, span=span, seed=seed), ties=ties, delay=delay)
    rows, prompter = np.arange(len(context.log)), prompter_of()
    expected = {row: told(context, row, solved=min(2, int(context.past.visible[row]))) for row in rows.tolist()}
    assert read_all(prompter, prompter.replay(context, rows, blind=False)) == expected
    assert read_all(prompter, lessons(prompter, context, rows)) == expected


@given(**logs, blocks=st.integers(1, 6), first=st.integers(0, 20), budget=st.sampled_from([120, 200, 2048]))
def test_runs_ask_every_row_once_behind_the_latest_events_that_it_knows(
    count, span, seed, ties, delay, blocks, first, budget
):
    context = context_of(random_log(count=count, span=span, seed=seed), ties=ties, delay=delay)
    rows = np.arange(min(first, len(context.log) - 1), len(context.log))
    prompter = replace(prompter_of(BlockSettings(budget=budget)), supervise="all", blocks=blocks)
    trees = lessons(prompter, context, rows, seed=seed)
    texts = read_all(prompter, trees)
    assert sorted(texts) == rows.tolist()
    assert all((tree.positions[tree.slots] < budget).all() for tree in trees)
    for row, text in texts.items():
        solved = text.count(ASKED) - 1
        assert solved < blocks
        assert text == told(context, row, solved=solved)


def test_a_run_asks_prompts_of_every_number_of_demonstrations():
    context, prompter = context_of(told_log()), replace(prompter_of(), supervise="all", blocks=4)
    trees = lessons(prompter, context, np.arange(10))
    texts = read_all(prompter, trees)
    solved = [texts[row].count(ASKED) - 1 for row in range(10)]
    cut = solved.index(0, 1)
    assert solved == [*range(cut), *[n % 4 for n in range(10 - cut)]]
    assert sum(map(len, trees)) < 0.6 * sum(map(len, lessons(prompter_of(), context, np.arange(10))))


def test_a_run_shows_rows_that_are_not_asked_and_none_behind_the_last_row():
    context, prompter = context_of(told_log()), replace(prompter_of(), supervise="all", blocks=10)
    (tree,) = lessons(prompter, context, np.array([3, 6]))
    texts = read(prompter, tree)
    assert texts == {3: told(context, 3, solved=3), 6: told(context, 6, solved=6)}
    assert tree.segment_count == 1 + 6 * 3 + 1  # the last question stands in a leaf, its answer nowhere


@settings(max_examples=25)
@given(
    seed=st.integers(0, 99),
    choice=st.sampled_from(["recent", "retrieved", "both"]),
    order=st.sampled_from(["time", "similar-first", "similar-last"]),
    per=st.sampled_from(["candidate", "set"]),
    solved=st.sampled_from(["recent", "similar"]),
    form=st.sampled_from(["plain", "lists", "stars"]),
    more=st.sampled_from([{}, {"numbered": True}, {"chat": True}, {"profile": True}]),
    budget=st.sampled_from([160, 5000]),
)
def test_replay_shows_a_row_what_a_query_for_it_alone_shows(seed, choice, order, per, solved, form, more, budget):
    block = BlockSettings(form=form, budget=budget, title_tokens=8, **more)
    view = HistoryView(shown=3, choice=choice, order=order, per=per)
    prompter = prompter_of(block, view=view, solved=DemonstrationSettings(count=2, choice=solved))
    context = context_of(random_log(count=18, span=9, seed=seed))
    rows = np.arange(10, 18)
    replayed = read_all(prompter, prompter.replay(context, rows, blind=False))
    assert read_all(prompter, lessons(prompter, context, rows)) == replayed
    for row, text in replayed.items():
        line = context.timeline(int(context.log.user[row])).until(int(context.past.visible[row]))
        question = prompter.question(line, context.log.item[row : row + 1], np.zeros((1, 4), np.float32))
        assert text == describe(question, 0, vocabulary=prompter.layout.phrases.vocabulary).text


@pytest.mark.parametrize("choice", ["recent", "retrieved"])
@pytest.mark.parametrize("similar", ["recent", "similar"])
def test_many_candidates_are_asked_as_each_alone(choice, similar):
    prompter = prompter_of(
        view=HistoryView(shown=3, choice=choice), solved=DemonstrationSettings(count=2, choice=similar)
    )
    line = context_of(told_log()).timeline(0).until(6)
    items, none = np.arange(6, 10, dtype=np.int32), np.zeros((4, 4), np.float32)
    together = prompter.question(line, items, none)
    vocabulary = prompter.layout.phrases.vocabulary
    for number in range(4):
        alone = prompter.question(line, items[number : number + 1], none[:1])
        whole = describe(together, number, vocabulary=vocabulary)
        assert whole.text == describe(alone, 0, vocabulary=vocabulary).text
        assert whole.position == len(whole.tokens) - 1


def test_segments_of_a_trunk_name_the_events_that_they_show():
    line = context_of(told_log()).timeline(0).until(7)
    question = prompter_of().question(line, np.array([8], np.int32), np.zeros((1, 4), np.float32))
    assert question.events.tolist() == [NO_EVENT, NO_EVENT, 5, NO_EVENT, 6, NO_EVENT, 3, 4, 6]
    ends = np.cumsum(question.trunk.segment_lengths())
    texts = [
        prompter_of().layout.phrases.vocabulary.decode(tokens) for tokens in np.split(question.trunk.tokens, ends[:-1])
    ]
    assert texts[2:5:2] == [" no", " yes"]
    assert texts[5:] == ["\nLiked:", ' "Deer"', ' "Elk"', ' "The "Gnu""']


@pytest.mark.parametrize("similar", ["recent", "similar"])
@pytest.mark.parametrize("choice", ["recent", "retrieved"])
@pytest.mark.parametrize("items", [(9,), (8, 9)], ids=["one", "two"])
def test_the_events_shown_are_those_in_the_texts(choice, similar, items):
    prompter = prompter_of(
        view=HistoryView(shown=2, choice=choice, feedback="likes"),
        solved=DemonstrationSettings(count=2, choice=similar),
    )
    line = context_of(told_log()).timeline(0).until(8)
    question = prompter.question(line, np.array(items, np.int32), np.zeros((len(items), 4), np.float32))
    texts = [
        describe(question, number, vocabulary=prompter.layout.phrases.vocabulary).text for number in range(len(items))
    ]
    held = [place for place in range(8) if any(f' "{TITLES[place]}"' in text for text in texts)]  # place and item agree
    assert question.shown.tolist() == held
    assert set(question.events[question.events != NO_EVENT].tolist()) < set(held)


@pytest.mark.parametrize("choice", ["recent", "retrieved"])
def test_a_trunk_can_be_laid_out_before_there_are_candidates(choice):
    prompter = prompter_of(view=HistoryView(shown=3, choice=choice))
    line = context_of(told_log()).timeline(0).until(6)
    empty = prompter.question(line, np.zeros(0, np.int32), np.zeros((0, 4), np.float32))
    asked = prompter.question(line, np.array([7, 8], np.int32), np.zeros((2, 4), np.float32))
    common = asked.trunk.tokens[: len(empty.trunk)]
    assert empty.trunk.tokens.tolist() == common.tolist()
    assert len(empty.branches) == 0


def test_blind_rows_see_no_event():
    context, prompter = context_of(random_log(count=25, span=9, seed=3)), prompter_of()
    texts = read_all(prompter, prompter.replay(context, np.arange(25), blind=True))
    assert sorted(texts) == list(range(25))
    for row, text in texts.items():
        assert text == f'{INTRO}\nLiked: nothing{ASKED} "{TITLES[context.log.item[row]]}"? Answer:'


def test_original_lessons_show_the_most_recent_events():
    context, rows = context_of(told_log()), np.arange(10)
    view = HistoryView(shown=2, choice="retrieved", order="similar-first", feedback="likes")
    drawn = {
        share: read_all(prompter_of(), lessons(replace(prompter_of(view=view), original=share), context, rows, seed=1))
        for share in (0.0, 0.5, 1.0)
    }
    recent = read_all(prompter_of(), lessons(prompter_of(view=HistoryView(shown=2, feedback="likes")), context, rows))
    assert drawn[1.0] == recent != drawn[0.0]
    mixed = [drawn[0.5][row] == drawn[1.0][row] for row in range(4, 10)]
    assert any(mixed)
    assert not all(mixed)
    for row in rows.tolist():
        assert drawn[0.5][row] in (drawn[0.0][row], drawn[1.0][row])


def test_a_veil_changes_what_is_shown_and_never_what_is_asked():
    context, rows = context_of(told_log()), np.arange(10)
    veil = partial(shuffled_labels, settings=ControlSettings(labels=True, seed=2))
    plain, veiled = prompter_of(), replace(prompter_of(), veil=veil)
    for supervise in ("last", "all"):
        before = read_all(plain, lessons(replace(plain, supervise=supervise), context, rows))
        after = read_all(plain, lessons(replace(veiled, supervise=supervise), context, rows))
        assert before.keys() == after.keys()
        assert before != after
    line = context.timeline(0).until(8)
    question = veiled.question(line, np.array([8], np.int32), np.zeros((1, 4), np.float32))
    replayed = read_all(plain, veiled.replay(context, np.array([8]), blind=False))
    assert replayed[8] == describe(question, 0, vocabulary=plain.layout.phrases.vocabulary).text


@pytest.mark.parametrize("supervise", ["last", "all"])
def test_a_leak_in_the_flow_is_refused(supervise: str):
    context = context_of(told_log())
    context.past.visible = context.past.visible + np.int32(1)  # every event sees itself
    prompter = replace(prompter_of(solved=DemonstrationSettings(count=0)), supervise=supervise)
    with pytest.raises(LeakError, match="before it is known"):
        lessons(prompter, context, np.arange(9))
    if supervise == "last":
        with pytest.raises(LeakError, match="before it is known"):
            list(prompter.replay(context, np.arange(9), blind=False))


@pytest.mark.parametrize("supervise", ["last", "all"])
@pytest.mark.parametrize("feedback", ["all", "likes"])
def test_the_length_of_a_lesson_is_told_beforehand(supervise: str, feedback):
    context = context_of(random_log(count=25, span=12, seed=5))
    prompter = prompter_of(view=HistoryView(shown=3, feedback=feedback))
    prompter = replace(prompter, supervise=supervise, blocks=4)
    random = np.random.default_rng(0)
    for lesson in prompter.lessons(context, np.arange(25), random=random):
        assert 0 <= lesson.length - len(lesson.tree(random)) <= 4


@pytest.mark.parametrize("supervise", ["last", "all"])
@pytest.mark.parametrize("chat", [False, True])
def test_answers_of_several_tokens_are_written_out_behind_every_question(supervise: str, chat: bool):
    answers = AnswerSettings(like="gladly", dislike="no")
    prompter = replace(prompter_of(BlockSettings(chat=chat), answers=answers), supervise=supervise)
    assert not prompter.layout.answers.single
    context = context_of(random_log(count=25, span=12, seed=5))
    slots = prompter.layout.answers.slots
    for tree in lessons(prompter, context, np.arange(25)):
        rows = tree.slot_rows.reshape(-1, slots)
        assert (rows == rows[:, :1]).all()
        texts = [read_slot(prompter, tree, slot) for slot in tree.slots.reshape(-1, slots)[0]]
        assert texts[0].endswith("Answer:")
        assert all(text.startswith(texts[0]) for text in texts[1:])


def read_slot(prompter: BlockPrompter, tree: PromptTree, slot: int) -> str:
    seen = np.flatnonzero(tree.mask()[slot])
    return prompter.layout.phrases.vocabulary.decode(tree.tokens[seen][np.argsort(tree.positions[seen])])


def test_a_chat_asks_every_answer_behind_the_end_of_the_message():
    context = context_of(random_log(count=25, span=12, seed=5))
    prompter = prompter_of(BlockSettings(chat=True))
    last = read_all(prompter, lessons(prompter, context, np.arange(25)))
    every = read_all(prompter, lessons(replace(prompter, supervise="all", blocks=3), context, np.arange(25)))
    assert all(text.endswith("?</user><reply>Answer:") for text in [*last.values(), *every.values()])
    assert all(text.count("<user>") == text.count("</user>") == 1 for text in every.values())
