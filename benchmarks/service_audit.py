"""The audit of a store after a kill: what is lost, doubled, torn or strange, and the scores it leads to offline.

It decides that offline means without any event that came in live: a dataset that holds imported and stored events from
the start, and a recommender that was never told anything, whose model runs in the stock way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.service_ingestion import Ingestion
from benchmarks.service_job import EventBody, Job
from recollect.data.dataset import Dataset
from recollect.data.log import EventLog
from recollect.rank.recommender import Recommender
from recollect.run.tuned import TunedModel
from recollect.service.check import check
from recollect.service.records import StoredEvent
from recollect.service.store import Store


def audit(url: str, ingestion: Ingestion, *, job: Job) -> tuple[Counter[str], list[StoredEvent]]:
    """Compare what is stored with what was acknowledged and sent.

    Returns
    -------
    tuple
        Counts: events that are `lost` (acknowledged, not there), `doubled` (there twice), `strange` (never sent, or
        with other content), batches that are `torn` (there in part), `findings` of the check; and all stored events.
    """
    found = Counter[str]()
    with Store.open(url, create=False) as store:
        stored = _all_events(store)
        found["findings"] = sum(not one.fine for one in check(store, catalog=set(job.dataset.catalog.ids)))
    ids = {event.id for event in stored}
    found["lost"] = len(ingestion.acknowledged - ids)
    found["doubled"] = len(stored) - len(ids)
    found["strange"] = sum(not _is_sent(event, ingestion.sent(event.id)) for event in stored)
    found["torn"] = sum(0 < len(there) < len(sent) for sent, there in _last_batches(ingestion, ids))
    return found, stored


def offline(stored: Sequence[StoredEvent], *, job: Job) -> Recommender:
    """Make a recommender of a dataset that has all events from the start."""
    dataset = job.dataset
    users, item = dataset.users, dataset.catalog.code
    known = set(users.ids)
    new = [user for user in dict.fromkeys(event.user for event in stored) if user not in known]
    blanks = {name: (*values, *("" for _ in new)) for name, values in users.attributes.items()}
    users = replace(users, ids=(*users.ids, *new), attributes=blanks)
    more = EventLog.sorted(
        user=np.array([users.code(event.user) for event in stored], np.int32),
        item=np.array([item(event.item) for event in stored], np.int32),
        time=np.array([event.time for event in stored], np.int64),
        value=np.array([event.value for event in stored], np.float32),
        label=np.array([event.liked for event in stored], np.bool_),
        user_count=len(users),
        item_count=len(dataset.catalog),
    )
    whole = Dataset(dataset.log.append(more), dataset.catalog, users, dataset.facts)
    return Recommender(TunedModel.load(job.run), whole, way="stock")


def _all_events(store: Store) -> list[StoredEvent]:
    events: list[StoredEvent] = []
    while page := store.events_after(events[-1].seq if events else 0):
        events += page
    return events


def _is_sent(event: StoredEvent, sent: EventBody | None) -> bool:
    return sent is not None and (event.user, event.item, event.value) == (sent["user"], sent["item"], sent["value"])


def _last_batches(ingestion: Ingestion, ids: set[str]) -> list[tuple[set[str], set[str]]]:
    """Return the ids of each client's last batch, and those of them that are there."""
    batches = [{event["id"] for event in one.batch} for one in ingestion.senders]
    return [(batch, batch & ids) for batch in batches]
