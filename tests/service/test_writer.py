"""The writing thread: commits are shared, order is kept, lazy writes never block, and a database that fails is told."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, event, text

from recollect.errors import DiskFull, SystemFailure
from recollect.service.answers import count_outcomes
from recollect.service.store import NewEvent, Store
from recollect.service.writer import Writer

NOW = 1_700_000_000


def append(store, *ids):
    return store.append([NewEvent(one, "u", "i", 1.0) for one in ids], liked=bool, now=NOW)


@contextmanager
def held(store):
    """Keep the writing thread busy while the block runs."""
    begun, go = threading.Event(), threading.Event()

    def wait(_):
        begun.set()
        go.wait(30)

    thread = threading.Thread(target=store.write, args=(wait,))
    thread.start()
    begun.wait(30)
    try:
        yield
    finally:
        go.set()
        thread.join()


def queued(store):
    return store._writer._queue.qsize()


def with_pragma(store, pragma):
    """Have every connection of an SQLite store begin with a pragma from now on."""
    event.listen(store.database.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))
    store.database.engine.dispose()


def test_callers_who_wait_together_share_a_commit_in_order(store):
    commits = []
    with ThreadPoolExecutor(20) as pool:
        with held(store):
            answers = []
            for number in range(20):
                answers.append(pool.submit(append, store, f"e{number}"))
                while queued(store) <= number:
                    pass
            event.listen(store.database.engine, "commit", commits.append)
        numbers = [answer.result().accepted[0].seq for answer in answers]
    assert numbers == list(range(1, 21))
    assert len(commits) == 2  # of the one who held it, and of all others


def test_closing_writes_what_waits(store_url):
    store = Store.open(store_url)
    with ThreadPoolExecutor(6) as pool:
        with held(store):
            answers = [pool.submit(append, store, f"e{number}") for number in range(5)]
            for _ in range(10):
                store.count_outcome("a", "shown")
            while queued(store) < 15:
                pass
            closing = pool.submit(store.close)
        closing.result()
        assert sum(len(answer.result().accepted) for answer in answers) == 5
    with Store.open(store_url) as again:
        assert (again.last_seq(), again.outcomes()) == (5, {("a", "shown"): 10})


def test_lazy_writes_share_a_commit_and_are_overtaken_only_by_what_may(store):
    writer, commits = Writer(store.database, linger=3600.0), list[object]()
    event.listen(store.database.engine, "commit", commits.append)
    lazy = [writer.write_lazily(count_outcomes, ("a", kind, 1)) for kind in ("shown", "answers") * 3]
    writer.write(lambda _, payloads: payloads, None, overtakes=True)
    assert (len(commits), any(one.done() for one in lazy)) == (1, False)
    writer.write(lambda _, payloads: payloads, None)
    assert (len(commits), all(one.done() for one in lazy)) == (2, True)
    assert store.outcomes() == {("a", "answers"): 3, ("a", "shown"): 3}
    writer.close()


def test_lazy_writes_are_dropped_rather_than_kept_without_bound(store):
    writer = Writer(store.database, room=8)
    begun, go = threading.Event(), threading.Event()
    writer.write_lazily(lambda _, payloads: [(begun.set(), go.wait(30)) for _ in payloads], None)
    begun.wait(30)
    lazies = [writer.write_lazily(count_outcomes, ("a", "shown", 1)) for _ in range(20)]
    go.set()
    writer.close()
    assert [lazy.cancelled() for lazy in lazies] == [False] * 8 + [True] * 12
    assert store.outcomes() == {("a", "shown"): 8}


def test_a_full_disk_is_told_and_stores_nothing_by_half(tmp_path):
    with Store.open(str(tmp_path / "live.db")) as store:
        append(store, "first")
        with_pragma(store, "max_page_count=60")
        with pytest.raises(DiskFull, match="no space left for the store"):
            append(store, *(f"e{number}-{'x' * 200}" for number in range(2000)))
        assert store.last_seq() == 1
        with_pragma(store, "max_page_count=1073741823")
        assert append(store, "second").accepted[0].seq == 2


def test_a_store_that_another_process_locks_is_told(tmp_path):
    with Store.open(str(tmp_path / "live.db")) as store:
        with_pragma(store, "busy_timeout=50")
        other = sqlite3.connect(tmp_path / "live.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SystemFailure, match="the store is locked"):
            append(store, "e1")
        assert store.events_after(0) == []  # readers need not wait
        other.execute("ROLLBACK")
        other.close()
        assert append(store, "e1").accepted[0].seq == 1


def test_a_server_that_drops_connections_is_reached_again(postgres_server, make_postgres_url):
    server = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with Store.open(make_postgres_url()) as store:
        append(store, "e1")
        process = store.write(lambda connection: connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        with server.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": process})
        assert append(store, "e2").accepted[0].seq == 2

        def cut(connection):
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with server.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": own})
            connection.execute(text("SELECT 1"))

        with pytest.raises(SystemFailure, match="the database server cannot be reached"):
            store.write(cut)
        assert append(store, "e3").accepted[0].seq == 3
    server.dispose()
