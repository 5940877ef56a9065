"""The service that a process runs: its parts, whether it is ready, and how blocking work is done beside the event loop.

It decides that work has slots, and that a request which finds none is refused at once: nothing waits in a line that
nobody counts. Each kind of work has slots of its own, so that none starves another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, Literal, TypeVar, cast

import anyio
import anyio.to_thread
from fastapi import Request

from recollect.data.dataset import Dataset
from recollect.errors import Overloaded
from recollect.service.engine import Engine
from recollect.service.logs import write
from recollect.service.metrics import Metrics
from recollect.service.problems import Refused
from recollect.service.settings import Settings
from recollect.service.store import Store

Phase = Literal["starting", "ready", "failed", "stopping"]
Kind = Literal["answers", "explanations", "writes", "reads", "keys", "models"]
R = TypeVar("R")

_FEW: Final[Mapping[Kind, int]] = {"explanations": 2, "models": 1}  # these take long


class Service:
    """Hold the parts of a running service.

    Parameters
    ----------
    start : callable
        Makes the engine; may take long, blocks.
    store : Store
        Where everything is kept.
    dataset : Dataset
        What was imported.
    settings : Settings
        What the operator chose.
    """

    def __init__(self, start: Callable[[], Engine], *, store: Store, dataset: Dataset, settings: Settings) -> None:
        self.store = store
        self.dataset = dataset
        self.settings = settings
        self.imported = {user: code for code, user in enumerate(dataset.users.ids)}
        self.metrics = Metrics(self._figures)
        self.failure: BaseException | None = None
        self.stopping = False
        self._start = start
        self._engine: Engine | None = None
        self._slots: dict[Kind, anyio.CapacityLimiter] = {}

    @property
    def phase(self) -> Phase:
        """Whether requests may be sent here."""
        if self.stopping:
            return "stopping"
        if self.failure is not None:
            return "failed"
        return "starting" if self._engine is None else "ready"

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises
        ------
        Refused
            With status 503, while it is being made.
        """
        if self._engine is None:
            raise Refused(
                "not ready", status=503, got="a request while starting", expected="a ready service", do="try again soon"
            )
        return self._engine

    async def start(self) -> None:
        """Make the engine beside the event loop; a failure is kept for whoever runs the server."""
        try:
            self._engine = await anyio.to_thread.run_sync(self._start)
            write("ready", **self._figures())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the server ends
            self.failure = error
            write("the engine cannot start", level=logging.ERROR, error=error)

    async def stop(self) -> None:
        """Let the engine answer what waits, then close the store."""
        self.stopping = True
        if self._engine is not None:
            await anyio.to_thread.run_sync(self._engine.stop)
        await anyio.to_thread.run_sync(self.store.close)
        write("stopped")

    async def call(self, work: Callable[[], R], *, kind: Kind) -> R:
        """Do blocking work in a slot of its kind.

        Raises
        ------
        Overloaded
            If all slots are taken.
        """
        if kind not in self._slots:
            self._slots[kind] = anyio.CapacityLimiter(_FEW.get(kind, self.settings.slots))
        slots, request = self._slots[kind], object()
        try:
            slots.acquire_on_behalf_of_nowait(request)
        except anyio.WouldBlock:
            raise Overloaded(
                "too much to do just now",
                got=f"{slots.total_tokens:g} requests at once",
                expected="fewer",
                do="try again in a second",
            ) from None
        try:
            return await anyio.to_thread.run_sync(work, limiter=anyio.CapacityLimiter(1))  # its slot is taken already
        finally:
            slots.release_on_behalf_of(request)

    def _figures(self) -> Mapping[str, Any]:
        return {} if self._engine is None else asdict(self._engine.status())


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    return cast(Service, request.app.state.service)
