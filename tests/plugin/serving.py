"""A real server for tests: uvicorn in a thread, on a free port, over any service."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from recollect.service.server import Server, address, listen
from recollect.service.state import Service


@dataclass(frozen=True)
class Served:
    """A running service, its server and its address."""

    service: Service
    server: Server
    url: str

    def stop(self) -> None:
        """Ask for the end, as a signal would; tests run the server outside of the main thread, which hears none."""
        self.server.handle_exit(15, None)


@contextmanager
def serving(service: Service, *, wait: bool = True) -> Generator[Served]:
    """Run a service until the block ends; waits until it is ready, if asked."""
    taken = listen("127.0.0.1", 0)
    server = Server(service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    served = Served(service, server, address(taken))
    try:
        while wait and not (server.started and service.phase == "ready") and thread.is_alive():
            time.sleep(0.01)
        yield served
    finally:
        if not server.should_exit:
            served.stop()
        thread.join(30)
        assert not thread.is_alive()
