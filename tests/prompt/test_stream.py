"""The stream layout: each event once, item then answer, and candidates where the next event would stand."""

from typing import cast

import numpy as np
import pytest
from worlds import planted_world, small_recipe, untuned

from recollect.context.evidence import Context
from recollect.data.catalog import Users
from recollect.data.past import PastRule
from recollect.prompt.stream import StreamLayout, StreamSettings, profile_texts
from recollect.prompt.vocabulary import BEGIN, DISLIKE, ITEM, LIKE, Vocabulary


@pytest.fixture(scope="module", params=["soft", "text", "both"])
def setting(request):
    world = planted_world()
    recipe = small_recipe(channel=request.param)
    tuned = untuned(world, recipe)
    layout = StreamLayout.of(tuned.vocabulary, world.catalog, world.users, cast(StreamSettings, recipe.layout))
    line = Context(world.log, rule=PastRule(), prior=0.4).timeline(3)
    return tuned, layout, line, world


def test_text_of_a_stream(setting):
    tuned, layout, line, world = setting
    window = line.window(0, 2, asked=np.array([True, False]))
    text = tuned.vocabulary.decode(layout.tree(window).tokens)
    items = [" " + world.catalog.titles[item] for item in window.items]
    soft = {"soft": ("<item>",) * 2, "text": ("",) * 2, "both": ("<item>",) * 2}[layout.settings.channel]
    shown = [title if layout.settings.channel != "soft" else "" for title in items]
    answers = ["<like>" if liked else "<dislike>" for liked in window.labels]
    pieces = ["<begin>", " age 23", *(a + b + c for a, b, c in zip(shown, soft, answers, strict=True))]
    cut = text if layout.settings.channel == "soft" else text[: len("<begin> age 23") + 10]
    assert "".join(pieces).startswith(cut)


def test_slots_stand_at_the_last_token_of_each_asked_item(setting):
    _, layout, line, _ = setting
    window = line.window(0, 5, asked=np.array([True, False, True, True, False]))
    tree = layout.tree(window)
    assert np.isin(tree.tokens[tree.slots + 1], (LIKE, DISLIKE)).all()
    assert tree.slot_rows.tolist() == window.rows[window.asked].tolist()
    if layout.settings.channel != "text":
        assert (tree.tokens[tree.slots] == ITEM).all()
        assert tree.items[tree.slots].tolist() == window.items[window.asked].tolist()


def test_answers_are_nowhere_but_in_answer_tokens(setting):
    _, layout, line, _ = setting
    window = line.window(0, 6)
    tree = layout.tree(window)
    before = ~np.isin(tree.tokens, (LIKE, DISLIKE))
    assert not np.any(tree.features[before, -2:])


def test_a_candidate_stands_where_its_event_would(setting):
    _, layout, line, _ = setting
    window = line.window(0, len(line))
    place = len(line) - 1
    count = int(line.visible[place])
    known = line.until(count).window(0, count)
    bare = line.features[place : place + 1].copy()
    bare[:, 2:] = 0
    branch = layout.branches(known, line.items[place : place + 1], bare)
    tree = layout.tree(window)
    own = np.flatnonzero(tree.segment == place + 1)[:-1]
    assert branch.tokens[0].tolist() == tree.tokens[own].tolist()
    assert branch.positions[0].tolist() == tree.positions[own].tolist()
    assert np.array_equal(branch.features[0], tree.features[own])


def test_special_words_in_a_title_are_text():
    vocabulary = Vocabulary.train(["The <like> of <item>"], size=300)
    (tokens,) = vocabulary.encode(["The <like> of <item>"])
    assert not set(tokens.tolist()) & {BEGIN, ITEM, LIKE, DISLIKE}


def test_profile_leaves_unknown_attributes_out():
    users = Users(ids=("1", "2"), attributes={"gender": ("F", ""), "age": ("25", "")})
    assert profile_texts(users) == ["gender F, age 25", ""]
