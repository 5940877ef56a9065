"""Backups: the same rows in every direction, whole or not at all; and checks that find what is wrong."""

import sqlite3
import threading

import pytest
from sqlalchemy import select, text

from recollect.errors import DataError, DatasetVersion, SourceNotFound, SystemFailure, UsageError
from recollect.service import keys
from recollect.service.backup import backup, restore
from recollect.service.check import check
from recollect.service.store import Item, NewEvent, Request, Store, User
from recollect.service.tables import METADATA

NOW = 1_700_000_000
KINDS = ("sqlite", "postgresql")


def fill(store):
    events = [NewEvent(f"e{number}", f"u{number % 7}", f"i{number % 5}", number / 3) for number in range(200)]
    store.append(events, liked=lambda value: value > 20, now=NOW)
    store.add_items([Item("i0", "Zero 😀", ("g",), {"k": [1, None, 0.1]})])
    store.add_users([User("u1", {"age": "3"}), User("u2")])
    store.save_request(Request("r1", "u1", "a", "model", {"x": "é"}, NOW))
    store.count_outcome("a", "shown", count=3)
    store.erase_user("u2", now=NOW)
    return keys.add(store, "shop", scopes=["read"], now=NOW)


def rows(store):
    with store.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in METADATA.sorted_tables
        }


def faults(store, **more):
    return [finding.subject for finding in check(store, **more) if not finding.fine]


@pytest.mark.parametrize("target", KINDS)
def test_a_backup_holds_everything_and_goes_into_either_kind(store, make_url_of, tmp_path, target):
    key = fill(store)
    file = tmp_path / "one.backup"
    counts = backup(store, file)
    url = make_url_of(target)
    assert restore(file, url) == counts
    with Store.open(url, create=False) as other:
        assert rows(other) == rows(store)
        assert faults(other) == []
        assert keys.check(other, key.secret) == key.key
        assert other.erased_among(["u1", "u2"]) == {"u2"}
        appended = other.append([NewEvent("new", "u", "i", 1.0)], liked=bool, now=NOW)
        assert appended.accepted[0].seq == 201


def test_a_backup_is_one_file_for_its_owner(store, tmp_path):
    fill(store)
    backup(store, tmp_path / "one.backup")
    assert [path.name for path in tmp_path.glob("*.backup*")] == ["one.backup"]
    assert not list(tmp_path.glob(".*"))
    assert (tmp_path / "one.backup").stat().st_mode & 0o077 == 0


def test_a_backup_is_of_one_moment_while_events_come_in(store, tmp_path):
    stop = threading.Event()

    def send():
        number = 0
        while not stop.is_set():
            pair = [NewEvent(f"{number}-{half}", "u", "i", 1.0) for half in "ab"]
            store.append(pair, liked=bool, now=NOW)
            number += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for number in range(3):
            backup(store, tmp_path / f"{number}.backup")
    finally:
        stop.set()
        sender.join()
    for number in range(3):
        with Store.open(str(tmp_path / f"{number}.backup"), create=False) as copy:
            assert faults(copy) == []
            assert copy.last_seq() % 2 == 0


def test_places_that_are_taken_are_left_alone(store, store_url, tmp_path):
    fill(store)
    before = rows(store)
    backup(store, tmp_path / "one.backup")
    with pytest.raises(UsageError, match="the place is taken"):
        backup(store, tmp_path / "one.backup")
    with pytest.raises(UsageError, match="which holds erased, events, items, keys"):
        restore(tmp_path / "one.backup", store_url)
    assert rows(store) == before


def test_a_backup_that_fails_leaves_nothing(store, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemFailure, match="the store cannot be made"):
        backup(store, tmp_path / "file" / "one.backup")
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == []


def test_wrong_backups_are_refused(tmp_path):
    with pytest.raises(SourceNotFound, match="no such backup"):
        restore(tmp_path / "none", str(tmp_path / "new.db"))
    (tmp_path / "text").write_text("no database, only text\n" * 50)
    with pytest.raises(DataError, match="that file is no store"):
        restore(tmp_path / "text", str(tmp_path / "new.db"))
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize(
    ("harm", "error", "told"),
    [
        ("UPDATE meta SET value = '99' WHERE key = 'version'", DatasetVersion, "newer version"),
        ("DELETE FROM events WHERE seq = 50", DataError, "200 numbers given out, 170 events, 29 erased"),
    ],
)
def test_newer_or_damaged_backups_are_refused(tmp_path, harm, error, told):
    with Store.open(str(tmp_path / "live.db")) as store:
        fill(store)
        backup(store, tmp_path / "one.backup")
    with sqlite3.connect(tmp_path / "one.backup") as connection:
        connection.execute(harm)
    connection.close()
    with pytest.raises(error, match=told):
        restore(tmp_path / "one.backup", str(tmp_path / "new.db"))
    assert not (tmp_path / "new.db").exists()


def test_a_whole_store_has_no_faults(store):
    assert faults(store, catalog=set()) == []
    fill(store)
    assert faults(store, catalog={f"i{number}" for number in range(5)}) == []


@pytest.mark.parametrize(("count", "said"), [(5, "all described"), (4, "1 named only by events")])
def test_an_item_that_only_events_name_is_no_fault(store, count, said):
    fill(store)
    found = check(store, catalog={f"i{number}" for number in range(count)})
    assert [(one.fine, one.detail) for one in found if one.subject == "items"] == [(True, said)]


@pytest.mark.parametrize(
    ("harm", "subject"),
    [
        ("DELETE FROM events WHERE seq = 50", "sequence"),
        ("UPDATE events SET seq = 500 WHERE seq = 50", "sequence"),
        ("UPDATE outcomes SET count = -1", "values"),
        ("UPDATE items SET attributes = '{' WHERE id = 'i0'", "texts"),
        ("ALTER TABLE keys DROP COLUMN name", "tables"),
    ],
)
def test_a_check_finds_what_is_wrong(store, harm, subject):
    fill(store)
    store.write(lambda connection: connection.execute(text(harm)) and None)
    assert faults(store, catalog={f"i{number}" for number in range(5)}) == [subject]


def test_a_check_finds_damaged_pages(tmp_path):
    with Store.open(str(tmp_path / "live.db")) as store:
        events = [NewEvent(f"e{number}", "u", "i" * 50, 1.0) for number in range(2000)]
        store.append(events, liked=bool, now=NOW)
    content = bytearray((tmp_path / "live.db").read_bytes())
    content[80_000:100_000] = b"\xff" * 20_000
    (tmp_path / "live.db").write_bytes(content)
    with Store.open(str(tmp_path / "live.db")) as store:
        assert "pages" in faults(store)
