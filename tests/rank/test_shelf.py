"""The shelf: grown step by step it equals the one made at once, and erased users are nobody."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world, small_recipe, untuned

from recollect.data.catalog import Catalog, Users
from recollect.data.dataset import Dataset
from recollect.rank.ask import Ask
from recollect.rank.recommender import Recommender

EXACT = 1e-5


def first_items(world: Dataset, count: int) -> Dataset:
    """Return a dataset whose catalog holds the first items only, and whose log no event of the others."""
    kept = world.log.take(np.flatnonzero(world.log.item < count))
    return Dataset(replace(kept, item_count=count), part(world.catalog, count), world.users, world.facts)


def part(catalog: Catalog, count: int) -> Catalog:
    return Catalog(catalog.ids[:count], catalog.titles[:count], catalog.genres[:count], catalog.years[:count])


@pytest.mark.parametrize("channel", ["soft", "both"])
@pytest.mark.parametrize("knows", ["everything", "the first items"])
def test_a_catalog_that_grew_equals_one_that_was_there(channel, knows):
    world = planted_world(users=6, items=15, events=60)
    small = first_items(world, 9)
    tuned = untuned(world if knows == "everything" else small, small_recipe("channel.learned=true", channel=channel))
    grown = Recommender(tuned, small)
    before = grown.score("u1", grown.catalog.ids)
    for count in (10, 13, 15):
        grown.set_catalog(part(world.catalog, count))
    whole = Recommender(tuned, Dataset(replace(small.log, item_count=15), world.catalog, world.users, world.facts))
    assert grown.score("u1", grown.catalog.ids[:9]) == pytest.approx(before, abs=EXACT)
    assert grown.score("u1", world.catalog.ids) == pytest.approx(whole.score("u1", world.catalog.ids), abs=EXACT)
    assert "i14" in {item.item for item in grown.recommend("u1", top=15).items}


def test_an_item_that_is_described_anew_gets_another_score():
    world = planted_world(users=6, items=15, events=60)
    small = first_items(world, 14)
    recommender = Recommender(untuned(small, small_recipe()), small)
    recommender.set_catalog(world.catalog)
    before = recommender.score("u1", ["i3", "i14"])
    titles = (*world.catalog.titles[:14], "Something else (1999)")
    renamed = Catalog(world.catalog.ids, titles, world.catalog.genres, world.catalog.years)
    recommender.set_catalog(renamed)
    after = recommender.score("u1", ["i3", "i14"])
    assert after[0] == pytest.approx(before[0], abs=EXACT)
    assert abs(after[1] - before[1]) > EXACT
    assert len(recommender.trunks) == 1


def test_users_may_come_with_a_profile_and_go_without_a_trace():
    world = planted_world(users=6, items=15, events=60)
    recommender = Recommender(untuned(world, small_recipe()), world)
    users = Users((*world.users.ids, "new"), {"age": (*world.users.attributes["age"], "22")})
    recommender.set_users(users)
    same = next(one for one, age in zip(world.users.ids, world.users.attributes["age"], strict=True) if age == "22")
    assert recommender.score("new", ["i1"], at=0) == pytest.approx(recommender.score(same, ["i1"], at=0), abs=EXACT)
    assert recommender.recommend("u2").trace.known > 0
    recommender.forget("u2")
    gone = recommender.person("u2")
    assert len(recommender.context.timeline(gone)) == 0
    assert "u2" not in recommender.shelf.users.ids


def test_reasons_bring_nothing_back_of_somebody_who_is_forgotten_meanwhile():
    world = planted_world(users=6, items=15, events=60)
    recommender = Recommender(untuned(world, small_recipe()), world)
    ask = Ask(user="u2", top=2, explain=True)
    (draft,) = recommender._drafts([ask])
    recommender.forget("u2")
    assert recommender._ranked(ask, draft)[0].reasons
    assert "u2" not in recommender.trunks
