"""Migrations: they end in the tables that the program uses, and refuse what is newer or not ours."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import inspect, text

from recollect.errors import DatasetVersion, UsageError
from recollect.service.database import Database
from recollect.service.migrations import MIGRATIONS, VERSION, migrate, version_of
from recollect.service.store import Store
from recollect.service.tables import METADATA


@pytest.fixture
def database(store_url):
    opened = Database(store_url)
    opened.require(create=True)
    yield opened
    opened.close()


def test_migrations_end_in_the_tables_of_the_program(database):
    assert migrate(database, create=True) == VERSION == len(MIGRATIONS)
    with database.reading() as connection:
        there = inspect(connection)
        for table in METADATA.sorted_tables:
            columns = {column["name"]: column for column in there.get_columns(table.name)}
            assert list(columns) == table.c.keys()
            for column in table.c:
                assert columns[column.name]["nullable"] == column.nullable or column.primary_key
                assert columns[column.name]["type"].python_type in {column.type.python_type, str}
            assert there.get_pk_constraint(table.name)["constrained_columns"] == table.primary_key.columns.keys()
        assert set(there.get_table_names()) == set(METADATA.tables)


def test_migrating_again_does_nothing(database):
    migrate(database, create=True)
    assert migrate(database, create=False) == 0
    with database.reading() as connection:
        assert version_of(connection) == VERSION


def test_a_newer_store_is_refused_and_left_alone(database, store_url):
    migrate(database, create=True)
    with database.writing() as connection:
        connection.execute(text("UPDATE meta SET value = '999' WHERE key = 'version'"))
    with pytest.raises(DatasetVersion, match=r"newer version of recollect wrote; got version 999"):
        Store.open(store_url)


@pytest.mark.parametrize("statement", ["CREATE TABLE users (id INT)", "CREATE TABLE meta (name TEXT, value TEXT)"])
def test_tables_of_something_else_are_left_alone(database, store_url, statement):
    with database.writing() as connection:
        connection.execute(text(statement))
    with pytest.raises(UsageError, match="taken by tables of something else"):
        Store.open(store_url)
    with database.reading() as connection:
        assert len(inspect(connection).get_table_names()) == 1


def test_a_step_that_fails_leaves_nothing(database):
    with suppress(ZeroDivisionError), database.writing() as connection:
        connection.execute(text(MIGRATIONS[0].statements[0].replace("{int}", "BIGINT")))
        raise ZeroDivisionError
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == []


def test_several_may_open_a_new_store_at_once(store_url):
    if store_url.startswith("sqlite"):
        Database(store_url).require(create=True)
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(Store.open, [store_url] * 4))
    assert [store.last_seq() for store in stores] == [0] * 4
    for store in stores:
        store.close()
