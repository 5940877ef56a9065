"""Figures for Prometheus.

It decides that no label comes from a caller: routes are templates, methods and statuses are few, arms and rankers are
ours. Figures that others keep (queue, memory) are asked for when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Count what the service does.

    Parameters
    ----------
    status : callable
        Gives figures by name: numbers become gauges, as do the shares of `arms`, whose outcomes become counters.
    """

    def __init__(self, status: Callable[[], Mapping[str, Any]]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "recollect_requests", "Answered requests.", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "recollect_request_seconds", "Time to the answer.", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self._answers = Counter(
            "recollect_answers", "Rankings by who made them.", ("arm", "ranker", "fallback"), registry=self.registry
        )
        self._events = Counter("recollect_events", "Events that came in.", ("outcome",), registry=self.registry)
        self.registry.register(_Gauges(status))

    def request(self, route: str, *, method: str, status: int, seconds: float) -> None:
        """Count a request by the template of its route."""
        self._requests.labels(route, method if method in _METHODS else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def answer(self, *, arm: str, ranker: str, fallback: str | None) -> None:
        """Count a ranking."""
        self._answers.labels(arm, ranker, fallback or "none").inc()

    def events(self, *, accepted: int, duplicates: int) -> None:
        """Count events that came in."""
        self._events.labels("accepted").inc(accepted)
        self._events.labels("duplicate").inc(duplicates)

    def page(self) -> bytes:
        """Give all figures in Prometheus' text format."""
        return generate_latest(self.registry)


class _Gauges(Collector):
    """Figures that are asked for when they are read."""

    def __init__(self, status: Callable[[], Mapping[str, Any]]) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        """Name nothing in advance, so that registering asks for no figures."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give each number as a gauge, and what came of each arm's answers."""
        figures = self._status()
        for name, value in _numbers(figures, "recollect"):
            gauge = GaugeMetricFamily(name, f"{name.removeprefix('recollect_')} of the engine, now.")
            gauge.add_metric([], value)
            yield gauge
        shares = GaugeMetricFamily("recollect_arm_share", "Share of the users that an arm answers.", labels=["arm"])
        outcomes = CounterMetricFamily("recollect_outcomes", "What came of an arm's answers.", labels=["arm", "kind"])
        for arm in figures.get("arms", ()):
            shares.add_metric([arm["name"]], arm["share"])
            for kind, count in arm["outcomes"].items():
                outcomes.add_metric([arm["name"], kind], count)
        yield from (shares, outcomes)


def _numbers(figures: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in figures.items():
        if isinstance(value, bool | int | float):
            yield f"{prefix}_{name}", float(value)
