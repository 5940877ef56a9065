"""The text of block prompts: golden files, order and number of blocks, titles as they come, and the budget.

RECOLLECT_GOLDEN=1 writes the golden files anew.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from blocks import (
    CATALOG,
    TITLES,
    USERS,
    byte_vocabulary,
    context_of,
    prompter_of,
    random_log,
    told_log,
    word_vocabulary,
)
from golden import golden
from hypothesis import given
from hypothesis import strategies as st
from tokenizers_by_family import CHATS

from recollect.context.demonstrations import DemonstrationSettings
from recollect.context.evidence import HistoryView
from recollect.context.retrieval import Neighbours
from recollect.errors import ModelError, PromptError
from recollect.prompt.answers import Answers
from recollect.prompt.block import BlockLayout, BlockSettings
from recollect.prompt.block_prompter import BlockPrompter
from recollect.prompt.prompter import NO_EVENT, Dropped, Question
from recollect.prompt.show import PromptText, describe
from recollect.prompt.vocabulary import ChatFrame

GOLDEN = Path(__file__).parent / "golden"
KNOWN = 7
INTRO = "<s>One person and one title at a time: will they like it? Answer yes or no."


def ask(prompter: BlockPrompter, *, known: int = KNOWN, item: int = 9) -> tuple[Question, PromptText]:
    """Ask user 0 of the told log about an item when so many events are known."""
    line = context_of(told_log()).timeline(0).until(known)
    question = prompter.question(line, np.array([item], np.int32), np.zeros((1, 4), np.float32))
    return question, describe(question, 0, vocabulary=prompter.layout.phrases.vocabulary)


def shown(prompter: BlockPrompter, *, known: int = KNOWN, item: int = 9) -> PromptText:
    """Return what user 0 of the told log is shown."""
    return ask(prompter, known=known, item=item)[1]


def titles_of(text: str) -> list[str]:
    """List the titles of the last history, in the order shown."""
    history = text.split("Will this person like")[-2]
    return sorted((title for title in TITLES if f' "{title}"' in history), key=lambda one: history.index(f' "{one}"'))


FORMS = {
    "plain": (BlockSettings(), HistoryView(shown=3, feedback="likes")),
    "seen": (BlockSettings(), HistoryView(shown=3)),
    "lists": (BlockSettings(form="lists"), HistoryView(shown=3)),
    "stars": (BlockSettings(form="stars"), HistoryView(shown=3)),
    "profile": (BlockSettings(profile=True), HistoryView(shown=3, feedback="likes")),
    "numbered": (BlockSettings(numbered=True), HistoryView(shown=3, feedback="likes")),
    "chat": (BlockSettings(chat=True, noun="animal"), HistoryView(shown=3, feedback="likes")),
    "retrieved": (BlockSettings(), HistoryView(shown=3, choice="retrieved", feedback="likes")),
    "both": (BlockSettings(), HistoryView(shown=3, choice="both", feedback="likes")),
    "similar-first": (
        BlockSettings(form="stars"), HistoryView(shown=3, choice="retrieved", order="similar-first"),
    ),
    "similar-last": (
        BlockSettings(form="stars"), HistoryView(shown=3, choice="retrieved", order="similar-last"),
    ),
}  # fmt: skip

DEGREES = (50, 80, 65, 10, 30, 70, 0, 20, 40, 90)
"""Where the items lie on a quarter of a circle: of Ants, Bees and Elk, Bees are the nearest to Jay, then Ants."""


def on_a_circle(prompter: BlockPrompter) -> BlockPrompter:
    """Give a prompter item vectors whose nearness can be seen by eye."""
    angles = np.radians(DEGREES)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return replace(prompter, chooser=replace(prompter.chooser, neighbours=Neighbours(directions)))


@pytest.mark.parametrize("name", FORMS)
def test_golden_text(name: str):
    settings, view = FORMS[name]
    text = shown(on_a_circle(prompter_of(settings, view=view))).text + "\n"
    assert text == golden(GOLDEN / f"{name}.txt", text)


def test_no_golden_text_is_left_over():
    assert {file.stem for file in GOLDEN.glob("*.txt")} == {*FORMS, *(f"chat-{name}" for name in CHATS)}


@pytest.mark.parametrize("choice", ["recent", "retrieved", "both"])
def test_the_choice_of_events_never_changes_the_wording(choice):
    text = shown(prompter_of(view=HistoryView(shown=3, choice=choice, feedback="likes"))).text
    words = text
    for title in sorted(TITLES, key=len, reverse=True):
        words = words.replace(f' "{title}"', "")
    block = "\nLiked:\nWill this person like? Answer:"
    assert words == INTRO + f"{block} no{block} yes{block}"


def test_without_demonstrations_a_prompt_is_the_question_alone():
    text = shown(prompter_of(solved=DemonstrationSettings(count=0))).text
    assert text == INTRO + '\nLiked: "Deer" "Elk" "The "Gnu""\nWill this person like "Jay"? Answer:'


def test_without_a_past_nothing_is_liked():
    assert shown(prompter_of(), known=0).text == INTRO + '\nLiked: nothing\nWill this person like "Jay"? Answer:'


@pytest.mark.parametrize(("known", "count", "expected"), [(7, 2, 2), (7, 4, 4), (3, 4, 3), (1, 4, 1), (0, 4, 0)])
def test_as_many_demonstrations_as_there_are_events(known: int, count: int, expected: int):
    text = shown(prompter_of(solved=DemonstrationSettings(count=count)), known=known).text
    assert text.count("Will this person like") == expected + 1
    assert text.endswith('like "Jay"? Answer:')


def test_a_prompt_without_numbers_only_grows_at_its_end():
    prompter = prompter_of(solved=DemonstrationSettings(count=9))
    texts = [shown(prompter, known=known).text for known in range(1, 7)]
    for before, after in pairwise(texts):
        assert after.startswith(before[: before.rindex("\nLiked:")])


def test_an_unknown_user_has_no_profile():
    prompter = prompter_of(BlockSettings(profile=True))
    assert np.array_equal(prompter.layout.start(99), prompter_of().layout.start(0))
    assert len(prompter.layout.start(0)) > len(prompter.layout.start(1)) == len(prompter.layout.start(99))


@pytest.mark.parametrize("item", range(len(TITLES)))
def test_a_title_is_text_whatever_it_contains(item: int):
    prompter = prompter_of()
    tokens = prompter.layout.title(item)
    assert prompter.layout.phrases.vocabulary.decode(tokens) == f' "{TITLES[item]}"'
    assert not np.isin(tokens, [0, 1, 2, 3]).any()


def test_a_long_title_is_cut_inside_its_quotes():
    prompter = prompter_of(BlockSettings(title_tokens=4), vocabulary=byte_vocabulary())
    assert shown(prompter, item=2).text.endswith('like "Cats"? Answer:')


def test_pieces_have_the_tokens_of_running_text():
    quiet = CATALOG.titles[:6]
    vocabulary = byte_vocabulary(*quiet, "Will this person like? Answer: yes")
    prompter = prompter_of(vocabulary=vocabulary, view=HistoryView(shown=3))
    prompt = shown(prompter, known=5, item=5)
    running = vocabulary.alone().encode([prompt.text.removeprefix("<s>")])[0]
    assert np.array_equal(prompt.tokens, [0, *running])


def test_an_opening_that_the_template_writes_stands_once():
    answers = Answers(("no", "yes"), ((4,), (5,)))
    doubled = replace(word_vocabulary(), frame=ChatFrame("<s><user>", "</user>"))
    layout = BlockLayout.of(
        doubled, CATALOG, USERS, settings=BlockSettings(chat=True), history=HistoryView(), answers=answers
    )
    assert layout.start(0)[:2].tolist() == [0, 1]
    assert (layout.start(0) == 0).sum() == 1


def test_a_chat_without_a_template_is_refused():
    plain = replace(word_vocabulary(), frame=None)
    assert shown(prompter_of(vocabulary=plain)).text.endswith("Answer:")
    with pytest.raises(ModelError, match=r"layout\.chat = true, and a tokenizer without .*set layout\.chat to false"):
        prompter_of(BlockSettings(chat=True), vocabulary=plain)


@given(
    budget=st.integers(75, 300),
    known=st.integers(0, 9),
    count=st.integers(0, 5),
    most=st.integers(0, 8),
    choice=st.sampled_from(["recent", "retrieved", "both"]),
    form=st.sampled_from(["plain", "lists", "stars"]),
    numbered=st.booleans(),
)
def test_the_budget_is_kept_and_the_question_stays(budget, known, count, most, choice, form, numbered):
    settings = BlockSettings(form=form, numbered=numbered, title_tokens=8, budget=budget)
    solved, view = DemonstrationSettings(count=count), HistoryView(shown=most, choice=choice)
    question, prompt = ask(prompter_of(settings, view=view, solved=solved), known=known)
    assert len(prompt.tokens) <= budget
    assert prompt.text.endswith('Will this person like "Jay"? Answer:')
    solved_left = min(known, count) - prompt.dropped.demonstrations
    assert prompt.text.count("Will this person like") == solved_left + 1
    assert (question.events != NO_EVENT).sum() == solved_left + min(known, most) - prompt.dropped.events
    assert solved_left == 0 or prompt.dropped.events == 0
    if prompt.dropped == Dropped():
        endless = settings.model_copy(update={"budget": 5000})
        assert prompt.text == shown(prompter_of(endless, view=view, solved=solved), known=known).text


@pytest.mark.parametrize("choice", ["recent", "retrieved"])
def test_the_oldest_of_recent_and_the_least_near_of_retrieved_events_go_first(choice):
    cut, whole = BlockSettings(title_tokens=8, budget=48), BlockSettings(title_tokens=8)
    ranked = "time" if choice == "recent" else "similar-last"
    alone = DemonstrationSettings(count=0)
    prompt = shown(prompter_of(cut, view=HistoryView(shown=5, choice=choice), solved=alone))
    ordered = shown(prompter_of(whole, view=HistoryView(shown=5, choice=choice, order=ranked), solved=alone))
    kept, all_of_them = titles_of(prompt.text), titles_of(ordered.text)
    assert 0 < prompt.dropped.events < 5
    assert set(kept) == set(all_of_them[prompt.dropped.events :])


def test_a_question_longer_than_the_budget_is_refused():
    with pytest.raises(PromptError, match=r"layout\.budget"):
        shown(prompter_of(BlockSettings(budget=32)))


def test_the_room_for_a_question_does_not_depend_on_its_item():
    prompter = prompter_of(BlockSettings(title_tokens=8, budget=90), solved=DemonstrationSettings(count=5))
    line = context_of(random_log(count=25, span=99, seed=1)).timeline(1)
    items = np.arange(len(TITLES), dtype=np.int32)
    alone = [prompter.question(line, items[n : n + 1], np.zeros((1, 4), np.float32)) for n in items]
    assert len({one.dropped for one in alone}) == 1
    assert len({one.trunk.tokens.tobytes() for one in alone}) == 1
