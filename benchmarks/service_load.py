"""Load: how many events a second are taken in, and how soon a list comes while events come in.

First several clients send batches as fast as they are acknowledged. Then, for people with 200 events each, lists of
100 candidates are asked for at 10 a second while events come in at 100 a second, half of them about these people. It
decides that the first question of each person, which encodes the whole past, is told apart.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.service_job import Job, People
from benchmarks.service_process import ServiceProcess
from benchmarks.service_questions import ask_steadily, questions
from benchmarks.service_report import Figure, Outcome, at_least, at_most, percentiles
from benchmarks.service_stores import store_place

_SENDERS, _BATCH = 2, 500
_RATE, _CANDIDATES, _KNOWN = 10.0, 100, 200
_TRICKLE, _PAUSE = 10, 0.1  # events of a batch beside the questions, and seconds between two
_EVENTS_ASKED, _MEDIAN_ASKED, _TAIL_ASKED = 2_000, 60.0, 150.0
_BODY: Final = 5_000  # events that fit into one request


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Set for how long events are sent, for how long lists are asked for, seconds, and of how many people."""

    sending: float
    asking: float
    people: int


def measure_load(job: Job) -> list[Outcome]:
    """Send as fast as possible, then ask while events trickle in."""
    sizes = _Sizes(1.0, 2.0, 6) if job.quick else _Sizes(30.0, 60.0, 50)
    outcomes: list[Outcome] = []
    for kind in job.stores or ("sqlite",):
        with store_place(kind, job.folder) as url, ServiceProcess(job, store=url) as service:
            asked = People(job.dataset, name="asked", count=sizes.people, seed=job.seed)
            _give_pasts(service, asked)
            mixed, details = _ask(job, service, asked, sizes)
            figures = (*mixed, *_send(job, service, sizes.sending))
            outcomes.append(Outcome(f"load, {kind}", figures, details))
    return outcomes


def _send(job: Job, service: ServiceProcess, seconds: float) -> tuple[Figure, ...]:
    """Send batches from several clients; bodies are made beforehand."""
    until, lock, spent = 0.0, threading.Lock(), service.processor
    times, sent = list[float](), 0
    makers = [People(job.dataset, name=f"fast{one}", count=2_000, seed=job.seed) for one in range(_SENDERS)]

    def send(people: People) -> None:
        nonlocal sent
        with service.client() as client:
            while (begun := time.perf_counter()) < until:
                accepted = client.add_events(people.events(_BATCH)).accepted
                with lock:
                    times.append(1000 * (time.perf_counter() - begun))
                    sent += accepted

    begun = time.perf_counter()
    until = begun + seconds
    with ThreadPoolExecutor(_SENDERS) as pool:
        list(pool.map(send, makers))
    taken = time.perf_counter() - begun
    return (
        _judged(job, at_least("events a second, in batches of 500", sent / taken, _EVENTS_ASKED)),
        *(Figure(name, value) for name, value in percentiles("batch of 500, acknowledged", times).items()),
        Figure("processor time of the service per second of sending, s", (service.processor - spent) / taken),
    )


def _give_pasts(service: ServiceProcess, people: People) -> None:
    """Let each of some people have so many events that came in live."""
    events = [people.event(user) for _ in range(_KNOWN) for user in people.users]
    with service.client() as client:
        for start in range(0, len(events), _BODY):
            client.add_events(events[start : start + _BODY])


def _ask(job: Job, service: ServiceProcess, people: People, sizes: _Sizes) -> tuple[tuple[Figure, ...], dict[str, Any]]:
    """Ask for lists while events trickle in."""
    ask = questions(people.users, [people.items(_CANDIDATES) for _ in range(20)])
    first = ask_steadily(service, ask, rate=2.0, seconds=len(people.users) / 2)
    begun, spent = time.perf_counter(), service.processor
    stop = _trickle(job, service, people.users)
    answers = ask_steadily(service, ask, rate=_RATE, seconds=sizes.asking)
    taken, spent = time.perf_counter() - begun, service.processor - spent
    events = stop()
    found = percentiles("list of 100 candidates", answers.milliseconds)
    limits = {"list of 100 candidates p50, ms": _MEDIAN_ASKED, "list of 100 candidates p95, ms": _TAIL_ASKED}
    figures = [
        _judged(job, at_most(name, got, limits[name])) if name in limits else Figure(name, got)
        for name, got in found.items()
    ]
    share = Figure("share of the lists by the light ranker", answers.light_share)
    refused = at_most("lists refused", answers.rankers["refused"], 0)
    used = Figure("processor time of the service per second of asking, s", spent / taken)
    cold = [Figure(name, got) for name, got in percentiles("first list of a person", first.milliseconds).items()]
    details = {"rankers": dict(answers.rankers), "first": dict(first.rankers), "events beside": events}
    return (*figures, share, refused, used, *cold), details


def _trickle(job: Job, service: ServiceProcess, users: tuple[str, ...]) -> Callable[[], int]:
    """Send events in the background until what is returned is called; that gives their number."""
    people = People(job.dataset, name="trickle", count=500, seed=job.seed)
    stopped, sent = threading.Event(), list[int]()

    def send() -> None:
        with service.client() as client:
            while not stopped.wait(_PAUSE):
                about = [users[people.random.integers(len(users))] for _ in range(_TRICKLE // 2)]
                batch = [*(people.event(user) for user in about), *people.events(_TRICKLE - len(about))]
                sent.append(client.add_events(batch).accepted)

    thread = threading.Thread(target=send)
    thread.start()

    def stop() -> int:
        stopped.set()
        thread.join()
        return sum(sent)

    return stop


def _judged(job: Job, figure: Figure) -> Figure:
    """Leave the judgement out where the size is not the one that is promised."""
    return Figure(figure.name, figure.got, figure.asked) if job.quick else figure
