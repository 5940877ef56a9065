"""Kill: what survives `kill -9` at random moments of sustained ingestion, time and again on one store.

    start ─► scores as offline? ─► several clients send batches ─► kill -9 ─► audit of the store ─► start …

It decides that scores are compared by a service that has just been started again, for people drawn anew each time, and
that the number of events that a ranking knew counts too: an event that is applied twice would show there.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from benchmarks.service_audit import audit, offline
from benchmarks.service_ingestion import Ingestion
from benchmarks.service_job import Job
from benchmarks.service_process import ServiceProcess
from benchmarks.service_report import Figure, Outcome, at_most
from benchmarks.service_stores import KINDS, store_place
from recollect.cli.output import say
from recollect.rank.recommender import Recommender
from recollect.service.records import StoredEvent

_SHORTEST, _LONGEST = 0.05, 2.0  # seconds from the first request of a round to the kill
_PEOPLE, _ITEMS = 8, 20  # whose scores of what are compared after each kill
_EXACT: Final = 1e-5
_PATIENCE: Final = 60_000.0  # ms


def measure_kill(job: Job) -> list[Outcome]:
    """Kill the service on each kind of store."""
    outcomes: list[Outcome] = []
    for kind in job.stores or KINDS:
        with store_place(kind, job.folder) as url:
            outcomes.append(_Killing(job, url).outcome(f"kill, {kind}"))
    return outcomes


class _Killing:
    """Kill a service on one store."""

    def __init__(self, job: Job, url: str) -> None:
        self._job = job
        self._url = url
        self._random = np.random.default_rng([job.seed, 9])
        self._found, self._worst, self._spread = Counter[str](), 0.0, 0.0
        self._stored: list[StoredEvent] = []
        self._starts: list[float] = []

    def outcome(self, part: str) -> Outcome:
        """Kill as often as asked, and start once more at the end."""
        ingestion = Ingestion(self._job)
        for number in range(self._job.kills):
            self._round(ingestion)
            facts = {**self._found, "events": len(self._stored), "largest difference": self._worst}
            say(f"kill {number + 1} of {self._job.kills}, {part}: {facts}")
        with self._compared():
            pass
        self._found["wrong"] = sum(one.wrong for one in ingestion.senders)
        return Outcome(part, self._figures(ingestion), {"start, s": self._starts})

    def _round(self, ingestion: Ingestion) -> None:
        service = self._compared()
        ingestion.begin(service)
        time.sleep(self._random.uniform(_SHORTEST, _LONGEST))
        self._found["early ends"] += service.process.poll() is not None
        service.kill()
        ingestion.wait()
        found, self._stored = audit(self._url, ingestion, job=self._job)
        self._found += found
        self._found["kills"] += 1

    def _compared(self) -> ServiceProcess:
        """Start the service, and compare scores of some people with those computed offline meanwhile."""
        with ThreadPoolExecutor(1) as beside:
            whole = beside.submit(offline, self._stored, job=self._job) if self._stored else None
            begun = time.perf_counter()
            service = ServiceProcess(self._job, store=self._url)
            self._starts.append(round(time.perf_counter() - begun, 2))
            if whole is not None:
                self._compare(service, whole.result())
        return service

    def _compare(self, service: ServiceProcess, whole: Recommender) -> None:
        random = self._random
        users = sorted({event.user for event in self._stored})
        catalog = self._job.dataset.catalog.ids
        codes: list[int] = random.choice(len(catalog), min(_ITEMS, len(catalog)), replace=False).tolist()
        items = [catalog[code] for code in codes]
        with service.client() as client:
            for user in random.choice(users, min(_PEOPLE, len(users)), replace=False).tolist():
                answer = client.rank(items, user=user, deadline_ms=_PATIENCE)
                expected = whole.score(user, items)
                got = {one.item: one.score for one in answer.items}
                self._spread = max(self._spread, float(np.ptp(expected)))
                self._worst = max(self._worst, *np.abs(expected - [got[item] for item in items]).tolist())
                self._found["people"] += 1
                self._found["light"] += answer.ranker != "model"
                self._found["miscounted"] += answer.known != self._known(user)

    def _known(self, user: str) -> int:
        dataset = self._job.dataset
        imported = int((dataset.log.user == dataset.users.find(user, -1)).sum())
        return imported + sum(event.user == user for event in self._stored)

    def _figures(self, ingestion: Ingestion) -> tuple[Figure, ...]:
        found, wanted = self._found, self._job.kills
        sent = sum(len(one.sent) for one in ingestion.senders)
        return (
            Figure("kills", found["kills"], f"{wanted}", found["kills"] == wanted),
            Figure("events acknowledged", len(ingestion.acknowledged)),
            Figure("events sent", sent),
            at_most("acknowledged events lost", found["lost"], 0),
            at_most("events stored twice", found["doubled"], 0),
            at_most("events stored that nobody sent so", found["strange"], 0),
            at_most("batches stored in part", found["torn"], 0),
            at_most("acknowledgements that do not fit", found["wrong"], 0),
            at_most("findings of the store check", found["findings"], 0),
            at_most("ends before a kill", found["early ends"], 0),
            Figure("people whose scores were compared after a start", found["people"]),
            at_most("of them with another count of known events", found["miscounted"], 0),
            at_most("of them not answered by the model", found["light"], 0),
            at_most("largest difference from the score offline", self._worst, _EXACT),
            Figure("largest difference of two scores of a person, for comparison", self._spread),
        )
