"""Staleness: is an acknowledged event known to the very next request of another connection?

Several writers, each with people of its own and three connections: one writes an event, and once it is acknowledged
the other two ask, in turn one or the other first: the person's history must begin with the event, and a ranking must
have known as many events as the person has. It decides that a light answer must be as fresh as the model's.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks.service_job import Job, People
from benchmarks.service_process import ServiceProcess
from benchmarks.service_report import Figure, Outcome, at_most
from benchmarks.service_stores import store_place
from recollect.client import Client

_WRITERS: Final = 4
_PEOPLE: Final = 40  # of each writer
_LATE: Final = 0.05  # share of the events that happened long before they come in


def measure_staleness(job: Job) -> list[Outcome]:
    """Write and read in turn, and count stale answers."""
    outcomes: list[Outcome] = []
    for kind in job.stores or ("sqlite",):
        with store_place(kind, job.folder) as url, ServiceProcess(job, store=url) as service:
            outcomes.append(_outcome(f"staleness, {kind}", _measure(job, service), quick=job.quick))
    return outcomes


def _measure(job: Job, service: ServiceProcess) -> Counter[str]:
    each = 25 if job.quick else 2_500
    with ThreadPoolExecutor(_WRITERS) as pool:
        running = [pool.submit(_write_and_read, job, service, number=one, count=each) for one in range(_WRITERS)]
        return sum((one.result() for one in running), Counter[str]())


def _write_and_read(job: Job, service: ServiceProcess, *, number: int, count: int) -> Counter[str]:
    people = People(job.dataset, name=f"stale{number}", count=_PEOPLE, seed=job.seed)
    # People of the import could be those of another writer; then nobody knows how many events they have.
    users = [user for code, user in enumerate(people.users) if code >= _PEOPLE // 2 or _writer_of(user) == number]
    found, known = Counter[str](), {user: _imported(job, user) for user in users}
    with service.client() as writer, service.client() as first, service.client() as second:
        for turn in range(count):
            event = people.event(users[people.random.integers(len(users))], late=_LATE)
            user: str = event["user"]
            found["writes"] += writer.add_events([event]).accepted
            known[user] += 1
            reader, other = (first, second) if turn % 2 else (second, first)
            for history_is_asked in (turn % 4 < 2, turn % 4 >= 2):
                if history_is_asked:
                    found["stale"] += _is_stale_history(reader, user, event["id"])
                else:
                    stale, ranker = _stale_ranking(other, user, known[user], items=people.items(2))
                    found["stale"] += stale
                    found[ranker] += 1
                found["reads"] += 1
    return found


def _writer_of(user: str) -> int:
    """Say to which writer a user of the import belongs."""
    return sum(user.encode()) % _WRITERS


def _imported(job: Job, user: str) -> int:
    return int((job.dataset.log.user == job.dataset.users.find(user, -1)).sum())


def _is_stale_history(client: Client, user: str, event: str) -> bool:
    return client.history(user, limit=1).events[0].id != event


def _stale_ranking(client: Client, user: str, known: int, *, items: list[str]) -> tuple[bool, str]:
    """Return whether a ranking is stale, and who made it."""
    answer = client.recommend(user, limit=len(items), candidates=items)
    return answer.known != known, answer.ranker


def _outcome(part: str, found: Counter[str], *, quick: bool) -> Outcome:
    wanted = 100 if quick else 10_000
    figures = (
        at_most("stale answers", found["stale"], 0),
        Figure("acknowledged writes", found["writes"], f"{wanted:,}", found["writes"] == wanted),
        Figure("reads by other connections, two after each write", found["reads"]),
        Figure("rankings by the model", found["model"]),
        Figure("rankings by the light ranker", found["light"]),
    )
    return Outcome(part, figures)
