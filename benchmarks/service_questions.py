"""Questions at a steady rate, whether or not the answers come: the time of each is from when it was due.

It decides that a question has a place in time of its own, so that a slow answer does not delay those who ask later,
and its wait is counted (no coordinated omission); and that each asker keeps a connection.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.service_process import ServiceProcess
from recollect.client import Client
from recollect.errors import SystemFailure
from recollect.service.replies import RankingAnswer

_ASKERS = 16


@dataclass(slots=True)
class Answers:
    """Hold the times of answers, in milliseconds, and who gave them."""

    milliseconds: list[float] = field(default_factory=list[float])
    rankers: Counter[str] = field(default_factory=Counter[str])

    @property
    def light_share(self) -> float:
        """Share of the answers by the light ranker."""
        return self.rankers["light"] / max(len(self.milliseconds), 1)


def ask_steadily(
    service: ServiceProcess, ask: Callable[[Client, int], RankingAnswer], *, rate: float, seconds: float
) -> Answers:
    """Ask questions, evenly spaced.

    Parameters
    ----------
    service : ServiceProcess
        Who is asked.
    ask : callable
        Asks the question of a number.
    rate : float
        Questions per second.
    seconds : float
        For how long.
    """
    answers, local, clients = Answers(), threading.local(), list[Client]()
    begun = time.perf_counter() + 0.1

    def own_client() -> Client:
        if not hasattr(local, "client"):
            local.client = service.client(retries=0)
            clients.append(local.client)
        return local.client

    def one(number: int) -> None:
        due = begun + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            ranker = ask(own_client(), number).ranker
        except SystemFailure:
            answers.rankers["refused"] += 1
            return
        answers.milliseconds.append(1000 * (time.perf_counter() - due))
        answers.rankers[ranker] += 1

    with ThreadPoolExecutor(_ASKERS) as pool:
        list(pool.map(one, range(round(rate * seconds))))
    for client in clients:
        client.close()
    return answers


def questions(users: Sequence[str], items: Sequence[Sequence[str]]) -> Callable[[Client, int], RankingAnswer]:
    """Make questions for lists of ten: users in turn, each with one of the slates in turn."""

    def ask(client: Client, number: int) -> RankingAnswer:
        slate = items[number % len(items)]
        return client.recommend(users[number % len(users)], limit=10, candidates=slate)

    return ask
