"""Answers for rows of a log: what is shown, in which order they come back, and the blind twin."""

from typing import cast

import numpy as np
import pytest
import torch
from worlds import planted_world, small_recipe, untuned

from recollect.context.evidence import Context, Evidence
from recollect.data.past import PastRule
from recollect.prompt.packing import pack
from recollect.prompt.stream_prompter import StreamPrompter
from recollect.run.answering import RowAnswerer, pack_in_groups
from recollect.run.prompting import make_prompter

EXACT = 1e-6


@pytest.fixture(scope="module")
def answerer():
    world = planted_world()
    tuned = untuned(world, small_recipe())
    context = Context(world.log, rule=PastRule(), prior=tuned.prior)
    return RowAnswerer(tuned, context, make_prompter(tuned, world))


@pytest.fixture(scope="module")
def rows(answerer):
    """The last third, where everybody has a past."""
    return np.arange(400, len(answerer.context.log))


def alone(answerer: RowAnswerer, row: int) -> float:
    """Answer a row by a prompt made by hand: the profile and this one event."""
    context = answerer.context
    evidence = Evidence(
        user=int(context.log.user[row]),
        rows=np.array([row]),
        items=context.log.item[[row]],
        labels=context.log.label[[row]],
        features=context.features[[row]],
        sees=np.array([0], np.int32),
        asked=np.array([True]),
    )
    with torch.inference_mode():
        packed = pack([cast(StreamPrompter, answerer.prompter).layout.tree(evidence)])
        dislike, like = answerer.tuned.language_model(packed).double()[0].tolist()
    return 1 / (1 + np.exp(dislike - like))


def test_blind_answers_see_no_event_at_all(answerer, rows):
    blind = answerer.blinded().score(rows)
    assert blind[::9] == pytest.approx([alone(answerer, row) for row in rows[::9].tolist()], abs=EXACT)
    assert np.abs(blind - answerer.score(rows)).max() > 100 * EXACT


def test_answers_come_in_the_order_of_the_questions(answerer, rows):
    turned = np.random.default_rng(0).permutation(rows)
    assert answerer.score(turned) == pytest.approx(answerer.score(rows)[turned - rows[0]], abs=EXACT)


def test_company_changes_no_answer(answerer, rows):
    for each in (answerer, answerer.blinded()):
        together = each.score(rows)[::29]
        assert np.concatenate([each.score(rows[[k]]) for k in range(0, len(rows), 29)]) == pytest.approx(
            together, abs=EXACT
        )


def test_progress_is_told_up_to_the_last_row(answerer, rows):
    told: list[int] = []
    answerer.telling(told.append).score(rows)
    assert told == sorted(told)
    assert told[-1] == len(rows)


def test_no_row_no_answer(answerer):
    assert answerer.score(np.zeros(0, np.int64)).shape == (0,)


def test_groups_lose_no_tree(answerer, rows):
    trees = answerer.prompter.replay(answerer.context, rows, blind=False)
    packed = list(pack_in_groups(trees, tokens=256))
    assert len(packed) > 1
    assert sorted(np.concatenate([batch.slot_rows for batch in packed]).tolist()) == rows.tolist()
