"""Search: titles by the beginnings of their words, people by id; and what the buttons of the page mean."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import planted_world

from recollect.data.catalog import Catalog
from recollect.data.log import EventLog
from recollect.service.page_buttons import Feedback, event_id
from recollect.service.page_search import TitleSearch, find_people, lively_people

TITLES = ("The Matrix (1999)", "Amélie", "Matrix Reloaded, The", "A man's travels", "")


def catalog(*more: str) -> Catalog:
    titles = (*TITLES, *more)
    return Catalog(tuple(map(str, range(len(titles)))), titles, ((),) * len(titles), np.zeros(len(titles), np.int16))


def log(*items: int) -> EventLog:
    count = len(items)
    return EventLog(
        user=np.zeros(count, np.int32), item=np.array(sorted(items), np.int32), time=np.zeros(count, np.int64),
        value=np.ones(count, np.float32), label=np.ones(count, np.bool_), user_count=1, item_count=len(TITLES),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("matrix", [2, 0]),
        ("MATR the", [2, 0]),
        ("amelie", [1]),
        ("Ame\u0301lie", [1]),
        ("trix", []),
        ("matrix 1999", [0]),
        ("man's trav", [3]),
        ("  ", [2, 0, 1]),
        ("%", [2, 0, 1]),
    ],
)
def test_titles_are_found_by_the_beginnings_of_their_words(text, found):
    assert TitleSearch(log(0, 2, 2)).find(text, catalog(), limit=3) == found


def test_items_that_came_later_are_found_and_may_get_other_titles():
    search = TitleSearch(log(0))
    assert search.find("new", catalog(), limit=3) == []
    assert search.find("new", catalog("new-1"), limit=3) == [5]
    assert search.find("brand", catalog("Brand new", "new"), limit=3) == [5]


def test_people_are_found_by_their_beginning_first():
    assert find_people("1", ["21", "1", "3", "10"], limit=3) == ["1", "10", "21"]
    assert find_people(" ", ["1"], limit=3) == []


@pytest.mark.parametrize(("limit", "events"), [(4, 600), (4, 100), (50, 600)])
def test_lively_people_have_events_and_the_newest_come_first(limit, events):
    world = planted_world(events=events)
    found = lively_people(world, limit=limit)
    assert len(set(found)) == min(limit, len(world.users))
    last = [int(world.log.time[world.log.user == world.users.code(one)].max()) for one in found]
    assert last == sorted(last, reverse=True)


def test_a_like_and_a_dislike_are_what_people_gave():
    assert Feedback.of(planted_world()) == Feedback(like=5.0, dislike=2.0)


@pytest.mark.parametrize("rule", ["value>=4", "value<1", "value!=4", "value==4"])
def test_a_log_of_one_kind_has_both_buttons_all_the_same(rule):
    world = planted_world()
    world = replace(
        world,
        log=replace(world.log, value=np.full(len(world.log), 4, np.float32)),
        facts=replace(world.facts, rule=rule),
    )
    feedback = Feedback.of(world)
    assert feedback.like != feedback.dislike


def test_a_press_has_a_name_of_its_own():
    one = event_id("t", user="u", item="i", liked=True)
    assert one == event_id("t", user="u", item="i", liked=True)
    others = [event_id("t", user="u", item="i", liked=False), event_id("s", user="u", item="i", liked=True)]
    assert len({one, *others}) == 3
