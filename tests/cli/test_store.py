"""Stores and keys by the command line: what goes to stdout, and what is refused."""

import json

import pytest

from recollect.cli import keys, store
from recollect.errors import DataError, SourceNotFound
from recollect.service import keys as service_keys
from recollect.service.store import NewEvent, Store

NOW = 1_700_000_000


@pytest.fixture
def url(tmp_path):
    place = f"sqlite:///{tmp_path / 'live.db'}"
    with Store.open(place) as opened:
        opened.append([NewEvent("e1", "u", "i", 1.0)], liked=bool, now=NOW)
    return place


def said(capsys, *, as_json=True):
    streams = capsys.readouterr()
    return json.loads(streams.out) if as_json else streams


def test_a_store_goes_into_a_file_and_back(url, tmp_path, capsys):
    file, other = tmp_path / "one.backup", f"sqlite:///{tmp_path / 'other.db'}"
    store.backup(file, store=url, as_json=True)
    backed = said(capsys)
    store.restore(file, store=other, as_json=True)
    restored = said(capsys)
    assert backed["rows"] == restored["rows"]
    assert backed["rows"]["events"] == 1
    store.check(store=other)
    assert [line.split()[1] for line in said(capsys, as_json=False).out.splitlines()] == ["fine"] * 6


def test_a_check_that_finds_a_fault_ends_with_an_error(url, capsys):
    with Store.open(url) as opened:
        opened.write(lambda connection: connection.exec_driver_sql("DELETE FROM events") and None)
    with pytest.raises(DataError, match=r"the store is not whole; got sqlite.*: sequence"):
        store.check(store=url, as_json=True)
    assert [one["subject"] for one in said(capsys) if not one["fine"]] == ["sequence"]


def test_a_key_is_printed_alone_and_works(url, capsys):
    keys.add("shop", scope=["read", "write"], store=url)
    streams = said(capsys, as_json=False)
    with Store.open(url) as opened:
        found = service_keys.check(opened, streams.out.strip())
    assert found is not None
    assert found.scopes == {"read", "write"}
    assert found.id in streams.err


def test_keys_are_listed_without_secrets_and_revoked(url, capsys):
    keys.add("shop", scope=["read"], store=url, as_json=True)
    made = said(capsys)
    keys.list_keys(store=url)
    listed = said(capsys, as_json=False).out
    assert listed.split()[:3] == [made["id"], "shop", "read"]
    assert made["key"] not in listed
    keys.revoke(made["id"], store=url, as_json=True)
    revoked = said(capsys)
    keys.list_keys(store=url, as_json=True)
    assert said(capsys)[0]["revoked"] == revoked["revoked"] is not None


def test_nothing_is_made_by_looking(tmp_path):
    place = f"sqlite:///{tmp_path / 'none.db'}"
    for look in (store.check, keys.list_keys):
        with pytest.raises(SourceNotFound):
            look(store=place)
    assert not list(tmp_path.iterdir())
