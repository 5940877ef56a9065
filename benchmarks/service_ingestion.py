"""Sustained ingestion by several clients at once, until the service is gone; they remember what they were told.

It decides that a client sends its last batch again when it does not know what became of it, and now and then one that
was acknowledged, as clients do that retry; so the same event reaches the service more than once.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from benchmarks.service_job import EventBody, Job, People
from benchmarks.service_process import ServiceProcess
from recollect.client import Client
from recollect.errors import Overloaded, SystemFailure

CLIENTS: Final = 4
_PEOPLE: Final = 100  # of each client
_LARGEST: Final = 100  # events of a batch
_AGAIN: Final = 0.2  # share of acknowledged batches that are sent again
_LATE: Final = 0.1  # share of events that happened long before they come in


class Sender:
    """Send batches one after the other.

    Parameters
    ----------
    job : Job
        Whose people the events are of.
    number : int
        Of this client.

    Attributes
    ----------
    sent : dict of str to EventBody
        All events that the service may have seen, by id.
    acknowledged : set of str
        Ids of those that it acknowledged.
    batch : list of EventBody
        What was sent last, perhaps without an answer.
    wrong : int
        Acknowledgements that do not fit what was sent.
    """

    def __init__(self, job: Job, *, number: int) -> None:
        self._people = People(job.dataset, name=f"send{number}", count=_PEOPLE, seed=job.seed)
        self._again = False
        self.sent: dict[str, EventBody] = {}
        self.acknowledged: set[str] = set()
        self.batch: list[EventBody] = []
        self.wrong = 0

    def send_all(self, service: ServiceProcess) -> None:
        """Send until the service is gone."""
        with service.client(retries=0) as client:
            while True:
                try:
                    self._send(client)
                except Overloaded:
                    continue
                except SystemFailure:
                    self._again = True
                    return

    def _send(self, client: Client) -> None:
        people = self._people
        if not self._again:
            self.batch = people.events(int(people.random.integers(1, _LARGEST + 1)), late=_LATE)
            self.sent |= {event["id"]: event for event in self.batch}
        answer = client.add_events(self.batch)
        ids = {event["id"] for event in self.batch}
        self.wrong += answer.accepted + len(answer.duplicates) != len(ids)
        self.wrong += not ids & self.acknowledged <= set(answer.duplicates)
        self.acknowledged |= ids
        self._again = people.random.random() < _AGAIN


class Ingestion:
    """Let several clients send; what they know outlives the service."""

    def __init__(self, job: Job) -> None:
        self.senders = [Sender(job, number=number) for number in range(CLIENTS)]
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._running: list[Future[None]] = []

    def begin(self, service: ServiceProcess) -> None:
        """Let all clients send to a service."""
        self._running = [self._pool.submit(one.send_all, service) for one in self.senders]

    def wait(self) -> None:
        """Wait until they see that the service is gone."""
        for one in self._running:
            one.result()

    @property
    def acknowledged(self) -> set[str]:
        """Ids of all events that were acknowledged."""
        return set[str]().union(*(one.acknowledged for one in self.senders))

    def sent(self, event: str) -> EventBody | None:
        """Return an event that was sent, by its id."""
        return next((one.sent[event] for one in self.senders if event in one.sent), None)
