"""Overload: far more questions at once than can be answered, for a while; then the usual few again.

It decides what an answer in time is: the time that the service itself says, up to the deadline that the question
named, and some milliseconds to say it; what the asker's clock says is told too, but askers and service share the
processor here. Memory may grow by the budgets of what is kept of people, and a fifth.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httpx2

from benchmarks.service_job import Job, People
from benchmarks.service_process import ServiceProcess
from benchmarks.service_questions import ask_steadily, questions
from benchmarks.service_report import Figure, Outcome, at_most, percentiles
from benchmarks.service_stores import store_place
from recollect.errors import RecollectError

BUDGETS: Final = {"engine__trunk_bytes": 64 << 20, "engine__history_bytes": 8 << 20}
SLACK: Final = 1.2
_DEADLINE, _TOLERANCE = 500.0, 50.0  # ms
_CANDIDATES, _KNOWN, _PEOPLE = 100, 50, 200
_WORSE: Final = 2.0  # how much longer the median may be afterwards
_RATE: Final = 10.0
_QUEUE: Final = 64


@dataclass(slots=True)
class _Flood:
    """Hold what came of a flood of questions."""

    answers: Counter[str] = field(default_factory=Counter[str])
    told: list[float] = field(default_factory=list[float])
    seen: list[float] = field(default_factory=list[float])

    def count(self, answer: httpx2.Response, seconds: float) -> None:
        """Count an answer."""
        if answer.status_code != HTTPStatus.OK:
            self.answers[str(answer.status_code)] += 1
            return
        body = json.loads(answer.content)
        self.answers[body["ranker"]] += 1
        self.told.append(body["milliseconds"])
        self.seen.append(1000 * seconds)


def measure_overload(job: Job) -> list[Outcome]:
    """Ask a little, flood, and ask a little again."""
    seconds, calm = (2.0, 2.0) if job.quick else (30.0, 15.0)
    with (
        store_place((job.stores or ("sqlite",))[0], job.folder) as url,
        ServiceProcess(job, store=url, **BUDGETS, engine__queue=_QUEUE) as service,
    ):
        people = People(job.dataset, name="many", count=12 if job.quick else _PEOPLE, seed=job.seed)
        with service.client() as client:
            client.add_events([people.event(user) for _ in range(_KNOWN) for user in people.users])
        ask = questions(people.users, [people.items(_CANDIDATES) for _ in range(20)])
        before = ask_steadily(service, ask, rate=_RATE, seconds=calm)
        memory, stop = service.resident, _watch(service)
        flood = asyncio.run(_ask_at_once(service, people, connections=32 if job.quick else 200, seconds=seconds))
        highest, waiting = stop()
        after = ask_steadily(service, ask, rate=_RATE, seconds=calm)
        slower = percentiles("", after.milliseconds)[" p50, ms"] / percentiles("", before.milliseconds)[" p50, ms"]
        figures = (
            *_answers(flood, seconds),
            at_most("questions in the queue", waiting, _QUEUE),
            at_most("growth of memory, of the budgets", (highest - memory) / sum(BUDGETS.values()), SLACK),
            _calm("before", before.milliseconds),
            _calm("afterwards", after.milliseconds),
            Figure("slower afterwards, times", slower, f"at most {_WORSE:g}", None if job.quick else slower <= _WORSE),
        )
    details = {"answers": dict(flood.answers), "before": dict(before.rankers), "afterwards": dict(after.rankers)}
    return [Outcome("overload", figures, {**details, **percentiles("asker's clock", flood.seen)})]


async def _ask_at_once(service: ServiceProcess, people: People, *, connections: int, seconds: float) -> _Flood:
    """Ask from many connections, each again as soon as it has an answer; refusals are not waited out."""
    flood, until = _Flood(), time.perf_counter() + seconds
    bodies = [
        {"user": user, "candidates": people.items(_CANDIDATES), "deadline_ms": _DEADLINE} for user in people.users
    ]
    encoded = [json.dumps(body).encode() for body in bodies]
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    headers = {"content-type": "application/json"}

    async def ask(number: int, client: httpx2.AsyncClient) -> None:
        while (begun := time.perf_counter()) < until:
            try:
                answer = await client.post(
                    "/v1/recommend",
                    content=encoded[number % len(encoded)],
                    headers={"content-type": "application/json"},
                )
            except httpx2.TransportError as error:
                flood.answers[type(error).__name__] += 1
                continue
            flood.count(answer, time.perf_counter() - begun)
            number += connections

    async with httpx2.AsyncClient(base_url=service.url, headers=headers, timeout=60.0, limits=limits) as client:
        await asyncio.gather(*(ask(number, client) for number in range(connections)))
    return flood


def _answers(flood: _Flood, seconds: float) -> tuple[Figure, ...]:
    total = sum(flood.answers.values())
    fine = flood.answers["model"] + flood.answers["light"] + flood.answers["429"]
    late = sum(told > _DEADLINE + _TOLERANCE for told in flood.told)
    return (
        Figure("questions a second", total / seconds),
        at_most("neither an answer nor 429", total - fine, 0),
        at_most("answers later than the deadline", late, 0),
        *(Figure(f"share of {kind}", flood.answers[kind] / max(total, 1)) for kind in ("model", "light", "429")),
        *(Figure(name, got) for name, got in percentiles("answer", flood.told).items()),
    )


def _calm(when: str, milliseconds: list[float]) -> Figure:
    return Figure(f"p50 at 10 questions a second {when}, ms", percentiles("", milliseconds)[" p50, ms"])


def _watch(service: ServiceProcess) -> Callable[[], tuple[int, int]]:
    """Watch memory and queue until what is returned is called; that gives the most of both."""
    stopped, memory, waiting = threading.Event(), [0], [0]

    def watch() -> None:
        with service.client(retries=0) as client:
            while not stopped.wait(0.2):
                memory.append(service.resident)
                waiting.append(_waiting(client))

    thread = threading.Thread(target=watch)
    thread.start()

    def stop() -> tuple[int, int]:
        stopped.set()
        thread.join()
        return max(memory), max(waiting)

    return stop


def _waiting(client: Any) -> int:
    try:
        return client.status().waiting
    except RecollectError:
        return 0
