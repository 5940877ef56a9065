"""A process that is killed while it writes: what it acknowledged is there, once, and the store is whole.

The writer is this file, started as a program of its own; it says an event's id only when the store has answered.
"""

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from recollect.service.check import check
from recollect.service.store import NewEvent, Store

KILLS = 5
CALLERS = 4
NOW = 1_700_000_000


def write(url, name):
    """Append batches from several threads until killed; half of them a second time, as a client that retries."""
    store = Store.open(url)
    sys.stdout.write("open\n")

    def send(caller):
        for number in range(10**9):
            batch = [NewEvent(f"{name}-{caller}-{number}-{place}", f"u{caller}", "i", 1.0) for place in range(5)]
            for _ in range(1 + number % 2):
                store.append(batch, liked=bool, now=NOW)
            sys.stdout.write("".join(f"{event.id}\n" for event in batch))
            sys.stdout.flush()

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(send, range(CALLERS)))


def killed_writer(url, name, seconds):
    """Run a writer, kill it, and return the ids that it acknowledged."""
    command = [sys.executable, __file__, url, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        rest = process.stdout.read()
    return [first.strip(), *rest.split("\n")[:-1]]


def test_no_acknowledged_event_is_lost_by_a_kill(store_url):
    dice = random.Random(5)
    acknowledged = []
    for number in range(KILLS):
        acknowledged += killed_writer(store_url, f"run{number}", dice.uniform(0.0, 0.3))
        with Store.open(store_url, create=False) as store:
            stored = [event.id for event in store.events_after(0, limit=10**9)]
            assert [finding for finding in check(store) if not finding.fine] == []
            assert store.last_seq() == len(stored)
        assert len(set(stored)) == len(stored)
        assert set(acknowledged) <= set(stored)
        assert len(stored) - len(acknowledged) <= (number + 1) * CALLERS * 5
    assert len(acknowledged) > KILLS


if __name__ == "__main__":
    write(*sys.argv[1:])
