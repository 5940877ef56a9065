"""Retrieval through the whole path, as text: which events of the own past are shown, and in which order.

In the log of these tests people meet items again, and no two events have the same number of stars, so that a prompt
tells which event it shows, not only which item.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
from blocks import TITLES, context_of, prompter_of
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import planted_world, small_block, untuned

from recollect.context.demonstrations import DemonstrationSettings
from recollect.context.evidence import Context, HistoryView
from recollect.context.retrieval import Neighbours
from recollect.data.catalog import Catalog
from recollect.data.dataset import Dataset
from recollect.data.log import EventLog
from recollect.data.past import PastRule
from recollect.prompt.block import BlockSettings
from recollect.prompt.block_prompter import BlockPrompter
from recollect.prompt.prompter import Prompter
from recollect.prompt.show import describe
from recollect.prompt.vocabulary import Vocabulary
from recollect.run.prompting import make_prompter

INTRO = "<s>One person and one title at a time: will they like it? Answer yes or no. More stars mean more liking."
NEAR = np.random.default_rng(8).normal(size=(len(TITLES), 3)).astype(np.float32)  # no two items are equally near
STARS = BlockSettings(form="stars")


def again_log(*, count: int, span: int, seed: int) -> EventLog:
    """Make events of two people who meet a few items again and again; the stars of an event are its own."""
    random = np.random.default_rng(seed)
    return EventLog.sorted(
        user=random.integers(0, 2, count).astype(np.int32),
        item=random.integers(0, 5, count).astype(np.int32) * 2,
        time=random.integers(0, span, count),
        value=(1 + np.arange(count)).astype(np.float32),
        label=random.random(count) < 0.6,
        user_count=3,
        item_count=len(TITLES),
    )


def prompter(view: HistoryView, *, solved: int) -> BlockPrompter:
    made = prompter_of(STARS, view=view, solved=DemonstrationSettings(count=solved, choice="similar"))
    return replace(made, chooser=replace(made.chooser, neighbours=Neighbours(NEAR)))


def nearest(log: EventLog, rows: list[int], item: int) -> list[int]:
    """Sort the last event of each item by nearness to an item, the nearest first: slowly, one by one."""
    last = {int(log.item[row]): row for row in rows}
    return sorted(last.values(), key=lambda row: float(NEAR[log.item[row]] @ NEAR[item]), reverse=True)


def known_to(log: EventLog, row: int) -> list[int]:
    """List the earlier events of the person of a row."""
    return [one for one in range(row) if log.user[one] == log.user[row] and log.time[one] < log.time[row]]


def block(log: EventLog, row: int, view: HistoryView) -> str:
    """Write the block of a row by the definition."""
    item, past = int(log.item[row]), [one for one in known_to(log, row) if log.label[one] or view.feedback == "all"]
    recent = {"recent": view.shown, "both": (view.shown + 1) // 2, "retrieved": 0}[view.choice]
    last = past[max(len(past) - recent, 0) :]
    chosen = [*last, *[one for one in nearest(log, past, item) if one not in last][: view.shown - len(last)]]
    by_nearness = sorted(chosen, key=lambda one: (float(NEAR[log.item[one]] @ NEAR[item]), one))
    shown = {"time": sorted(chosen), "similar-last": by_nearness, "similar-first": by_nearness[::-1]}[view.order]
    listed = "".join(f' "{TITLES[log.item[one]]}" {log.value[one]:g}' for one in shown) or " nothing"
    return f'\nStars:{listed}\nWill this person like "{TITLES[item]}"? Answer:'


def told(log: EventLog, row: int, view: HistoryView, *, solved: int) -> str:
    """Write the prompt of a row by the definition."""
    near = sorted(nearest(log, known_to(log, row), int(log.item[row]))[:solved])
    answered = [block(log, one, view) + (" yes" if log.label[one] else " no") for one in near]
    return INTRO + "".join(answered) + block(log, row, view)


def asked(prompter: Prompter, context: Context, row: int, *, vocabulary: Vocabulary) -> str:
    """Ask about a row of the log as a query at its moment does."""
    line = context.timeline(int(context.log.user[row])).until(int(context.past.visible[row]))
    question = prompter.question(line, context.log.item[row : row + 1], np.zeros((1, 4), np.float32))
    return describe(question, 0, vocabulary=vocabulary).text


def replayed(prompter: BlockPrompter, context: Context) -> dict[int, str]:
    """Return the text that each row of a log sees in a replay."""
    texts: dict[int, str] = {}
    for tree in prompter.replay(context, np.arange(len(context.log)), blind=False):
        for slot, row in zip(tree.slots, tree.slot_rows.tolist(), strict=True):
            seen = np.flatnonzero(tree.mask()[slot])
            tokens = tree.tokens[seen][np.argsort(tree.positions[seen])]
            texts[row] = prompter.layout.phrases.vocabulary.decode(tokens)
    return texts


@settings(max_examples=15)
@given(
    count=st.integers(1, 14),
    span=st.integers(1, 30),
    seed=st.integers(0, 9999),
    view=st.builds(
        HistoryView,
        shown=st.integers(0, 4),
        choice=st.sampled_from(["retrieved", "both", "recent"]),
        order=st.sampled_from(["time", "similar-first", "similar-last"]),
        feedback=st.sampled_from(["all", "likes"]),
    ),
    solved=st.integers(0, 2),
)
def test_prompts_show_the_own_past_and_nothing_else(count, span, seed, view, solved):
    context = context_of(again_log(count=count, span=span, seed=seed))
    made = prompter(view, solved=solved)
    expected = {row: told(context.log, row, view, solved=solved) for row in range(count)}
    assert replayed(made, context) == expected
    vocabulary = made.layout.phrases.vocabulary
    assert {row: asked(made, context, row, vocabulary=vocabulary) for row in range(count)} == expected


def thrice() -> EventLog:
    """Make a log of one person who meets the fifth item (Elk) in rows 1, 3 and 5, and others in between."""
    items = np.array([0, 4, 6, 4, 8, 4, 2], np.int32)
    return EventLog(
        user=np.zeros(7, np.int32),
        item=items,
        time=10 * np.arange(7),
        value=(1 + np.arange(7)).astype(np.float32),
        label=np.ones(7, np.bool_),
        user_count=3,
        item_count=len(TITLES),
    )


@pytest.mark.parametrize("order", ["similar-first", "similar-last"])
@pytest.mark.parametrize(("row", "own"), [(1, []), (3, [' "Elk" 2']), (5, [' "Elk" 4'])])
def test_the_targets_own_past_event_stands_where_the_nearest_stands_and_its_later_ones_nowhere(row, own, order):
    """The stars behind a title are one more than the row of its event."""
    text = replayed(prompter(HistoryView(shown=2, choice="retrieved", order=order), solved=0), context_of(thrice()))[
        row
    ]
    history = text.partition("\nStars:")[2].partition("\nWill")[0]
    assert [part for part in re.findall(r' "[^"]+" \d+', history) if "Elk" in part] == own
    stands_there = str.startswith if order == "similar-first" else str.endswith
    assert all(stands_there(history, part) for part in own)


PAIRS = ("Copper Lantern", "Silent Orchard", "Winter Harbour", "Paper Comet", "Crimson Valley")


def twins() -> Dataset:
    """Make two people who meet the first items of five pairs, then the second ones; the titles of a pair are alike."""
    world = planted_world(users=2, items=10, events=20)
    titles = tuple(f"{PAIRS[code // 2]} {'one' if code % 2 == 0 else 'two'}" for code in range(10))
    log = EventLog(
        user=np.repeat(np.arange(2, dtype=np.int32), 10),
        item=np.array([0, 2, 4, 6, 8, 3, 9, 1, 5, 7, 8, 4, 0, 6, 2, 7, 1, 5, 9, 3], np.int32),
        time=np.arange(20),
        value=np.ones(20, np.float32),
        label=np.arange(20) % 3 > 0,
        user_count=2,
        item_count=10,
    )
    return replace(world, log=log, catalog=replace(world.catalog, titles=titles, genres=((),) * 10))


def shifted(world: Dataset) -> Dataset:
    """Put the last item of the catalog first, so that other items stand where pairs stood."""
    old, log, order = world.catalog, world.log, [9, *range(9)]
    catalog = Catalog(
        ids=tuple(old.ids[code] for code in order),
        titles=tuple(old.titles[code] for code in order),
        genres=old.genres,
        years=old.years[order],
    )
    return replace(world, catalog=catalog, log=replace(log, item=((log.item + 1) % 10).astype(np.int32)))


@pytest.mark.parametrize("order", ["similar-first", "similar-last"])
def test_a_model_finds_the_twin_of_an_item_whatever_the_order_of_the_catalog(order: str):
    world = twins()
    recipe = small_block("rella", f"history.order={order}", "history.shown=3", "vectors.text_width=8")
    tuned = untuned(world, recipe)
    for here in (world, shifted(world)):
        fitted, context = tuned.fitted_to(here.catalog), Context(here.log, rule=PastRule(), prior=0.5)
        made = make_prompter(fitted, here)
        for row in (*range(5, 10), *range(15, 20)):
            text = asked(made, context, row, vocabulary=tuned.vocabulary)
            shown = re.findall(r' "([^"]+)" 1', text.partition("\nStars:")[2].partition("\nWill")[0])
            twin = here.catalog.titles[here.log.item[row]].replace(" two", " one")
            assert shown[0 if order == "similar-first" else -1] == twin
            assert len(shown) == 3
