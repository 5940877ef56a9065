"""The server: uvicorn around the application, from the first byte to a clean end.

It decides how the end goes: the first signal makes the service unready; after `drain_seconds` nothing new is accepted,
what runs may end, and the store is flushed. A second signal leaves at once, which loses nothing that was acknowledged.
An engine that cannot start ends the process too. SIGHUP activates what the name of the run leads to by then.

It decides too how the process shares its interpreter: a thread that wants it waits 0.2 ms instead of 5, since the model
gives it back at every product and would else wait behind everybody else; and what was loaded by the time the service is
ready is never looked through for garbage again, which held every answer up for up to half a second.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from recollect.errors import RecollectError, SystemFailure
from recollect.service.app import create_app
from recollect.service.logs import configuration, write
from recollect.service.state import Service

_BACKLOG: Final = 1_024
_HEADERS: Final = 32 * 1024  # bytes of a request line with its headers
_SWITCH: Final = 0.0002  # seconds that a thread waits before it asks for the interpreter


def listen(host: str, port: int) -> socket.socket:
    """Take an address.

    Parameters
    ----------
    host : str
        Address or name.
    port : int
        Port; 0 takes a free one.

    Raises
    ------
    SystemFailure
        If it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, since the event loop turns Nagle's algorithm off only where it is: 40 ms of each answer.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen(_BACKLOG)
    except OSError as error:
        taken.close()
        raise SystemFailure(
            "the address cannot be had",
            got=f"{host} port {port}: {error.strerror or error}",
            expected="a free port of this machine",
            do="stop what listens there, or choose another with --port",
        ) from error
    return taken


def address(taken: socket.socket) -> str:
    """Return the URL of an address that was taken."""
    host, port = taken.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class Server(uvicorn.Server):
    """Run a service.

    Parameters
    ----------
    service : Service
        What is served; started and stopped with the server.
    run : Path, optional
        What SIGHUP activates: a name that may lead to another run by then.
    on_ready : callable, optional
        Called once the service is ready.
    """

    def __init__(
        self, service: Service, *, run: Path | None = None, on_ready: Callable[[], None] | None = None
    ) -> None:
        settings = service.settings
        super().__init__(
            uvicorn.Config(
                create_app(service),
                log_config=configuration(settings.log_level),
                access_log=False,  # the edge writes its own
                server_header=False,
                ws="none",
                h11_max_incomplete_event_size=_HEADERS,
                timeout_graceful_shutdown=settings.stop_seconds,
            )
        )
        self._service = service
        self._run = run
        self._on_ready = on_ready
        self._settled = False
        self._leave_at = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the framework's signature
        """Become unready at the first signal, leave at once at the second."""
        if self.should_exit:
            self.force_exit = True
            self._leave_at = 0.0
            return
        self._service.stopping = True
        self._leave_at = time.monotonic() + self._service.settings.drain_seconds
        self.should_exit = True  # not as uvicorn does, which raises the signal again at the end: this end is a good one

    async def on_tick(self, counter: int) -> bool:
        """Say ten times a second whether to leave."""
        if not self._settled and self._service.phase == "ready":
            self._settle()
        leave = await super().on_tick(counter)
        return self._service.failure is not None or (leave and time.monotonic() >= self._leave_at)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and hear SIGHUP where there is such a thing."""
        sys.setswitchinterval(_SWITCH)
        await super().startup(sockets)
        if self._run is not None and threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, loop.run_in_executor, None, self._activate, self._run)

    def _settle(self) -> None:
        """Keep what is loaded out of the garbage collector's sight, and say that the service is ready."""
        self._settled = True
        gc.collect()
        gc.freeze()
        if self._on_ready is not None:
            self._on_ready()

    def _activate(self, run: Path) -> None:
        try:
            self._service.engine.activate(run.resolve())
        except RecollectError as error:
            write("the run cannot be activated", level=logging.ERROR, error=error)
