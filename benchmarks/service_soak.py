"""Soak: a long run of small requests by very many people; what is kept of them must stay within its budgets.

It decides that memory is what Linux says is resident, against what it was once the service was warm; that it may grow
by the budgets of trunks and histories, and a fifth; and that half of the requests are events, and most others lists.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import numpy as np

from benchmarks.service_job import Job, People
from benchmarks.service_process import ServiceProcess
from benchmarks.service_report import Figure, Outcome, at_most
from benchmarks.service_stores import store_place
from recollect.cli.output import say

_MIB: Final = 1 << 20
_BUDGETS: Final = {"engine__trunk_bytes": 128 * _MIB, "engine__history_bytes": 16 * _MIB}
_SLACK: Final = 1.2
_CONNECTIONS: Final = 8
_PEOPLE: Final = 100_000
_EVENTS, _LISTS = 0.5, 0.45  # shares of the requests; the others ask for a history
_WARM: Final = 0.005  # share of the requests after which the service is warm
_SAMPLES: Final = 200
_FINE: Final = {200, 404}  # nobody knows the history of somebody without events


@dataclass(frozen=True, slots=True)
class _Sample:
    """What was found after some requests: bytes, and seconds since the first."""

    requests: int
    seconds: float
    resident: int
    trunk_bytes: int
    history_bytes: int


class _Soak:
    """Send requests from several connections."""

    def __init__(self, job: Job, service: ServiceProcess) -> None:
        self._job = job
        self._service = service
        self._people = People(job.dataset, name="soak", count=2, seed=job.seed)
        self._random = np.random.default_rng([job.seed, 3])
        self._done = 0
        self._begun = time.perf_counter()
        self.samples: list[_Sample] = []
        self.answers = Counter[str]()

    async def run(self) -> None:
        """Send all requests, and sample memory now and then."""
        async with httpx2.AsyncClient(base_url=self._service.url, timeout=120.0) as client:
            await asyncio.gather(*(self._send(client) for _ in range(_CONNECTIONS)))
            await self._sample(client)

    async def _send(self, client: httpx2.AsyncClient) -> None:
        warm, every = int(self._job.requests * _WARM), max(1, self._job.requests // _SAMPLES)
        while self._done < self._job.requests:
            self._done += 1
            if self._done == max(warm, 1) or self._done % every == 0:
                await self._sample(client)
            method, path, body = self._request()
            answer = await client.request(method, path, json=body)
            self.answers[f"{path.split('/')[2]} {answer.status_code}"] += 1

    def _request(self) -> tuple[str, str, dict[str, Any] | None]:
        user, chance = f"p{self._random.integers(_PEOPLE)}", self._random.random()
        if chance < _EVENTS:
            return "POST", "/v1/events", {"events": [self._people.event(user)]}
        if chance < _EVENTS + _LISTS:
            return "POST", "/v1/recommend", {"user": user, "limit": 2, "candidates": self._people.items(4)}
        return "GET", f"/v1/users/{user}/history?limit=5", None

    async def _sample(self, client: httpx2.AsyncClient) -> None:
        status = (await client.get("/v1/status")).json()
        seconds = round(time.perf_counter() - self._begun, 1)
        sizes = (self._service.resident, status["trunk_bytes"], status["history_bytes"])
        self.samples.append(_Sample(self._done, seconds, *sizes))
        if len(self.samples) % 20 == 1:
            say(f"{self._done:,} requests, {seconds:,.0f} s: {', '.join(f'{size / _MIB:,.0f} MiB' for size in sizes)}")


def measure_soak(job: Job) -> list[Outcome]:
    """Send all requests, or those until Ctrl-C, and look at memory."""
    with (
        store_place((job.stores or ("sqlite",))[0], job.folder) as url,
        ServiceProcess(job, store=url, **_BUDGETS) as service,
    ):
        soak = _Soak(job, service)
        try:
            asyncio.run(soak.run())
        except KeyboardInterrupt:
            say(f"stopped after {sum(soak.answers.values()):,} requests; the figures are of these")
    return [Outcome("soak", _figures(job, soak), {"answers": dict(soak.answers), "samples": _plain(soak.samples)})]


def _figures(job: Job, soak: _Soak) -> tuple[Figure, ...]:
    warm, last, budget = soak.samples[0], soak.samples[-1], sum(_BUDGETS.values())
    grown = max(one.resident for one in soak.samples) - warm.resident
    bad = sum(count for name, count in soak.answers.items() if int(name.split()[1]) not in _FINE)
    half = soak.samples[len(soak.samples) // 2]
    trunks, histories = (max(getattr(one, name) for one in soak.samples) for name in ("trunk_bytes", "history_bytes"))
    return (
        Figure("requests", sum(soak.answers.values()), f"{job.requests:,}", sum(soak.answers.values()) == job.requests),
        Figure("requests a second", last.requests / max(last.seconds, 1e-9)),
        at_most("answers that are neither 200 nor 404", bad, 0),
        Figure("resident once warm, MiB", warm.resident / _MIB),
        Figure("resident at the end, MiB", last.resident / _MIB),
        at_most("growth of memory, of the budgets", grown / budget, _SLACK),
        Figure("growth in the second half, of the budgets", (last.resident - half.resident) / budget),
        at_most("trunks at most, of their budget", trunks / _BUDGETS["engine__trunk_bytes"], 1.0),
        at_most("histories at most, of their budget", histories / _BUDGETS["engine__history_bytes"], 1.0),
    )


def _plain(samples: list[_Sample]) -> list[list[float]]:
    """Return the samples as rows, to be short."""
    return [[one.requests, one.seconds, one.resident, one.trunk_bytes, one.history_bytes] for one in samples]
