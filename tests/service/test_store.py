"""The store, on both databases: what is acknowledged is there, once, in order, and what is erased is gone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from recollect.errors import DataError, SourceNotFound, SystemFailure, UnknownFormat, UsageError
from recollect.service.database import Database
from recollect.service.store import Erased, Item, NewEvent, Request, Retention, Store, StoredEvent, User

NOW = 1_700_000_000
EVENT = NewEvent("e1", "ann", "i1", 4.0, 7)
REQUEST = Request("r1", "ann", "a", "model", {"items": ["i1"], "weights": [0.5]}, NOW)
HOSTILE = "<b>&\"';DROP TABLE events;-- \\ \x07 \u202e😀"


def likes(value):
    return value >= 4


def append(store, *events, now=NOW):
    return store.append(events, liked=likes, now=now)


def test_an_event_comes_back_as_it_went_in(store):
    appended = append(store, EVENT, NewEvent("e2", "bob", HOSTILE, -0.1))
    assert appended.accepted == (
        StoredEvent(1, "e1", "ann", "i1", 4.0, True, 7),
        StoredEvent(2, "e2", "bob", HOSTILE, -0.1, False, NOW),
    )
    assert store.events_after(0) == list(appended.accepted)
    assert store.last_seq() == 2


def test_the_same_event_again_is_a_duplicate(store):
    append(store, EVENT)
    again = append(store, EVENT, replace(EVENT, time=None), NewEvent("e2", "ann", "i2", 1.0), now=NOW + 1)
    assert [event.seq for event in again.accepted] == [2]
    assert again.duplicates == ("e1", "e1")


def test_events_without_a_time_follow_what_their_user_did_last(store_url):
    untimed = [NewEvent(f"n{number}", user, "i1", 1.0) for number, user in enumerate(("ann", "bob", "bob", "cat"))]
    with Store.open(store_url) as store:
        append(store, replace(EVENT, time=NOW + 50), replace(EVENT, id="old", user="bob", time=NOW - 50))
    with Store.open(store_url) as store:
        appended = append(store, *untimed)
        assert [event.time - NOW for event in appended.accepted] == [51, 0, 1, 0]
        assert append(store, replace(EVENT, id="back", user="bob", time=None), now=NOW - 9).accepted[0].time == NOW + 2
        assert append(store, replace(EVENT, id="on", user="bob", time=None), now=NOW + 9).accepted[0].time == NOW + 9


def test_an_event_twice_in_a_batch_is_stored_once(store):
    appended = append(store, EVENT, EVENT)
    assert (len(appended.accepted), appended.duplicates) == (1, ("e1",))


@pytest.mark.parametrize("other", [{"user": "bob"}, {"item": "i2"}, {"value": 3.0}, {"time": 8}], ids=str)
def test_the_same_id_with_other_content_refuses_the_whole_batch(store, other):
    append(store, EVENT)
    with pytest.raises(DataError, match="an event id that another event has") as refused:
        append(store, NewEvent("e2", "ann", "i1", 1.0), replace(EVENT, **other))
    assert "ann" not in str(refused.value)
    assert store.last_seq() == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"id": ""}, "an event's id of a length"),
        ({"user": "u" * 257}, "a user's id of a length"),
        ({"item": "a\0b"}, "an item's id with a character"),
        ({"item": "\ud800"}, "an item's id with a character"),
        ({"value": float("nan")}, "no number"),
        ({"value": float("inf")}, "no number"),
        ({"time": 1_700_000_000_000}, "milliseconds"),
    ],
)
def test_what_no_database_can_keep_is_refused(store, wrong, told):
    with pytest.raises(DataError, match=told):
        append(store, replace(EVENT, **wrong))
    assert store.last_seq() == 0


def test_history_is_read_page_by_page_from_the_end(store):
    append(
        store, *(NewEvent(f"e{number}", "ann", "i", 1.0) for number in range(1, 6)), replace(EVENT, id="b", user="b")
    )
    last = store.history("ann", limit=2)
    assert [event.id for event in last] == ["e5", "e4"]
    assert [event.id for event in store.history("ann", limit=9, before=last[-1].seq)] == ["e3", "e2", "e1"]
    assert store.history("nobody") == []


def test_the_log_is_read_piece_by_piece(store):
    append(store, *(NewEvent(f"e{number}", "ann", "i", 1.0) for number in range(5)))
    assert [event.seq for event in store.events_after(1, limit=2)] == [2, 3]
    assert store.events_after(5) == []


def test_many_callers_get_numbers_without_gaps(store):
    def send(caller):
        events = [NewEvent(f"{caller}-{number % 6}", f"u{caller % 3}", "i", 1.0) for number in range(8)]
        return [append(store, *pair) for pair in zip(events[::2], events[1::2], strict=True)]

    with ThreadPoolExecutor(16) as pool:
        answers = [answer for answers in pool.map(send, range(32)) for answer in answers]
    accepted = sorted(event.seq for answer in answers for event in answer.accepted)
    assert accepted == list(range(1, 32 * 6 + 1))
    assert sum(len(answer.duplicates) for answer in answers) == 32 * 2
    assert [event.seq for event in store.events_after(0)] == accepted


def test_one_callers_conflict_is_not_the_others(store):
    append(store, EVENT)

    def send(number):
        event = replace(EVENT, value=1.0) if number % 4 == 0 else NewEvent(f"n{number}", "u", "i", 1.0)
        try:
            return len(append(store, event).accepted)
        except DataError:
            return -1

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(40)))
    assert answers == [-1 if number % 4 == 0 else 1 for number in range(40)]
    assert store.last_seq() == 31


events = st.builds(
    NewEvent,
    id=st.sampled_from("abcdef"),
    user=st.sampled_from("xy"),
    item=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=3),
    value=st.floats(allow_nan=False, allow_infinity=False),
    time=st.none() | st.integers(0, 2**33),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(events, max_size=4), max_size=5))
def test_a_store_is_what_a_dictionary_would_be(tmp_path_factory, batches):
    """Whatever comes in: the first of an id stays, its batch whole, and numbers follow the order."""
    expected: dict[str, NewEvent] = {}
    with Store.open(str(tmp_path_factory.mktemp("store") / "events.db")) as store:
        for batch in batches:
            trial = dict(expected)
            fits = all(same(trial.setdefault(event.id, event), event) for event in batch)
            try:
                append(store, *batch)
            except DataError:
                assert not fits
            else:
                assert fits
                expected = trial
        stored = store.events_after(0)
    assert [(event.seq, event.id, event.item, event.value) for event in stored] == [
        (number, event.id, event.item, event.value) for number, event in enumerate(expected.values(), start=1)
    ]


def same(first, event):
    times = (first.time if first.time is not None else NOW, event.time)
    content = (first.user, first.item, first.value) == (event.user, event.item, event.value)
    return content and (event.time is None or times[0] == times[1])


def test_items_keep_their_order_and_content(store):
    items = [Item("z", HOSTILE, ("g", HOSTILE), {"year": 1999, "tags": ["a", None], "x": 0.1}, NOW), Item("a", "A")]
    assert store.add_items(items).accepted == ("z", "a")
    assert store.add_items([replace(items[0], added=NOW + 1), Item("b", "B")]).duplicates == ("z",)
    assert store.items() == [*items, Item("b", "B")]


def test_users_keep_their_profiles(store):
    users = [User("u", {"age": "25", "gender": "F"}, NOW), User("v")]
    assert store.add_users(users).accepted == ("u", "v")
    assert store.add_users(users).duplicates == ("u", "v")
    assert store.users() == users


@pytest.mark.parametrize("other", [Item("a", "B"), Item("a", "A", ("g",)), Item("a", "A", (), {"k": 1})], ids=str)
def test_an_item_with_other_content_is_refused_with_its_batch(store, other):
    store.add_items([Item("a", "A")])
    with pytest.raises(DataError, match="an item that is there already"):
        store.add_items([Item("b", "B"), other])
    assert store.items() == [Item("a", "A")]


@pytest.mark.parametrize(
    "wrong",
    [Item("a", "T\0"), Item("a", "T", (), {"k": float("nan")}), Item("a", "T", (), {"k": {1, 2}}), Item("", "T")],
)
def test_an_item_that_cannot_come_back_is_refused(store, wrong):
    with pytest.raises(DataError):
        store.add_items([wrong])
    assert store.items() == []


def test_erasing_a_user_leaves_nothing_but_the_fact(store):
    append(store, EVENT, NewEvent("e2", "bob", "i1", 1.0), NewEvent("e3", "ann", "i1", 1.0))
    store.add_users([User("ann", {"age": "25"}), User("bob")])
    for request in (REQUEST, replace(REQUEST, id="r2", user="bob"), replace(REQUEST, id="r3", user=None)):
        store.save_request(request)
    assert store.erase_user("ann", now=NOW) == Erased(events=2, requests=1, profile=True)
    assert (store.history("ann"), store.request("r1"), [user.id for user in store.users()]) == ([], None, ["bob"])
    assert [event.user for event in store.events_after(0)] == ["bob"]
    assert store.request("r2") is not None
    assert store.request("r3") is not None
    assert store.erased_among(["ann", "bob"]) == {"ann"}
    assert store.erase_user("ann", now=NOW) == Erased(events=0, requests=0, profile=False)


def test_numbers_of_erased_events_are_not_given_again(store):
    append(store, EVENT)
    store.erase_user("ann", now=NOW)
    assert append(store, EVENT).accepted[0].seq == 2


def test_what_sqlite_deletes_is_not_in_its_files(tmp_path):
    with Store.open(str(tmp_path / "live.db")) as store:
        append(
            store, *(NewEvent(f"e{number}", "somebody-private", f"secret-item-{number}", 1.0) for number in range(50))
        )
        append(store, NewEvent("other", "ann", "i1", 4.0))
        store.erase_user("somebody-private", now=NOW)
        content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"somebody-private" not in content
    assert b"secret-" not in content
    assert b"ann" in content


def test_what_the_driver_itself_says_is_told_in_our_words(tmp_path):
    database = Database(str(tmp_path / "live.db"))
    with pytest.raises(SystemFailure, match="the database failed"), database.reading() as connection:
        connection.connection.cursor().execute("SELECT nonsense")
    database.close()


def test_a_request_can_be_explained_at_once_and_later(store_url):
    with Store.open(store_url) as store:
        store.save_request(REQUEST)
        assert store.request("r1") == REQUEST
        assert store.request("r2") is None
    with Store.open(store_url) as store:
        assert store.request("r1") == REQUEST
        store.save_request(replace(REQUEST, arm="b"))
        store.flush()
        assert store.request("r1") == replace(REQUEST, arm="b")


def test_requests_are_bounded_by_number_and_age(store_url):
    with Store.open(store_url, retention=Retention(requests=10, seconds=100)) as store:
        for number in range(40):
            store.save_request(replace(REQUEST, id=f"r{number}", made=NOW + number))
        store.flush()
        assert [number for number in range(40) if store.request(f"r{number}")] == list(range(30, 40))
        store.save_request(replace(REQUEST, id="late", made=NOW + 135))
        store.flush()
        assert [number for number in range(40) if store.request(f"r{number}")] == list(range(35, 40))


def test_outcomes_are_counted_by_arm_and_kind(store_url):
    with Store.open(store_url) as store:
        store.count_outcome("b", "shown", count=10)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: store.count_outcome("a", "liked"), range(50)))
        store.flush()
        assert store.outcomes() == {("a", "liked"): 50, ("b", "shown"): 10}
        store.count_outcome("a", "liked")
    with Store.open(store_url) as store:
        assert store.outcomes() == {("a", "liked"): 51, ("b", "shown"): 10}


def test_counts_are_read_while_somebody_else_writes(tmp_path):
    url = f"sqlite:///{tmp_path / 'live.db'}"
    with Store.open(url) as store, Store.open(url) as other:
        store.count_outcome("a", "liked")
        store.flush()
        with other.database.writing():
            assert store.outcomes() == {("a", "liked"): 1}


def test_everything_is_there_after_opening_again(store_url):
    with Store.open(store_url) as store:
        append(store, EVENT)
        store.add_items([Item("i1", "One")])
    with Store.open(store_url, create=False) as store:
        assert append(store, EVENT).duplicates == ("e1",)
        assert append(store, replace(EVENT, id="e2")).accepted[0].seq == 2
        assert store.items() == [Item("i1", "One")]


def test_two_stores_on_one_database_number_together(store_url):
    with Store.open(store_url) as one, Store.open(store_url) as other:
        for number in range(6):
            append((one, other)[number % 2], replace(EVENT, id=f"e{number}"))
        assert append(other, replace(EVENT, id="e0")).duplicates == ("e0",)
        assert [event.id for event in one.events_after(0)] == [f"e{number}" for number in range(6)]


def test_a_closed_store_says_so(store_url):
    store = Store.open(store_url)
    store.close()
    store.close()
    with pytest.raises(SystemFailure, match="the store is closed"):
        append(store, EVENT)


def test_work_that_fails_stores_nothing_and_harms_nobody(store):
    def fail(_):
        raise ZeroDivisionError

    with ThreadPoolExecutor(8) as pool:
        good = [pool.submit(append, store, replace(EVENT, id=f"e{number}")) for number in range(20)]
        bad = [pool.submit(store.write, fail) for _ in range(5)]
    assert all(isinstance(one.exception(), ZeroDivisionError) for one in bad)
    assert sorted(one.result().accepted[0].seq for one in good) == list(range(1, 21))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db", "postgresql://h:port/db"])
def test_urls_that_name_no_store_are_refused(url):
    with pytest.raises(UsageError, match="no URL of a store"):
        Store.open(url)


def test_no_store_is_made_unless_asked(make_url_of, tmp_path):
    with pytest.raises(SourceNotFound, match="no such store"):
        Store.open(str(tmp_path / "none.db"), create=False)
    assert not list(tmp_path.iterdir())
    with pytest.raises(SourceNotFound, match="no store there"):
        Store.open(make_url_of("postgresql"), create=False)


def test_a_new_file_is_its_owners_only(tmp_path):
    with Store.open(str(tmp_path / "folder" / "odd name?%20.db")):
        file = tmp_path / "folder" / "odd name?%20.db"
        assert file.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "notes.txt").write_text("these are notes, and no database of any kind\n" * 100)
    with pytest.raises(UnknownFormat, match="that file is no store"):
        Store.open(str(tmp_path / "notes.txt"))


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemFailure, match="the store cannot be made"):
        Store.open(str(tmp_path / "file" / "store.db"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"database": "nowhere"}, "there is no such database"),
        ({"username": "nobody"}, "the store may not be used|there is no such"),
        ({"query": {"host": "/nowhere"}}, "the database server cannot be reached"),
    ],
    ids=["database", "user", "server"],
)
def test_a_server_that_refuses_is_told_without_the_password(postgres_server, change, told):
    url = make_url(postgres_server).set(**change, password="hidden-word")  # noqa: S106 - to be hidden
    with pytest.raises(SystemFailure, match=told) as refused:
        Store.open(url.render_as_string(hide_password=False))
    assert "hidden-word" not in str(refused.value)


def test_a_damaged_file_is_told(tmp_path: Path):
    file = tmp_path / "live.db"
    with Store.open(str(file)) as store:
        append(store, *(NewEvent(f"e{number}", "u", "i" * 50, 1.0) for number in range(2000)))
    content = bytearray(file.read_bytes())
    content[40_960:] = b"\xff" * (len(content) - 40_960)
    file.write_bytes(content)
    with Store.open(str(file)) as store, pytest.raises(SystemFailure, match="the store is damaged"):
        store.events_after(0)
