"""What `recollect inspect` tells about a log, as one JSON document.

It decides what a person should know before choosing a label rule, a split and a rule for ties: how much there is, how
it is spread over users, how often an instant holds several events of one user, and what each protocol would cut.

Array letters: N events, U users.
"""

from typing import Any, Final

import numpy as np

from recollect.cli.moment import format_time
from recollect.data.dataset import Dataset
from recollect.data.log import EventLog
from recollect.data.protocols import PROTOCOLS, Protocol
from recollect.errors import DataError

QUANTILES: Final = (0, 10, 25, 50, 75, 90, 99, 100)
"""Of events per user, in percent."""


def describe(dataset: Dataset) -> dict[str, Any]:
    """Give the facts of the import and what the log itself shows.

    Returns
    -------
    dict
        Counts; `span` (unix seconds and ISO text); `like_share` and `ties_share` in 0..1, None for an empty log as the
        span is; `events_per_user` by percent; `splits` by protocol, with the reason where one does not fit.
    """
    log = dataset.log
    return {
        "rows": len(log),
        "users": log.user_count,
        "items": log.item_count,
        "span": span(log),
        "like_share": _share(log.label),
        "ties_share": _share(tied(log)),
        "events_per_user": events_per_user(log),
        "user_attributes": sorted(dataset.users.attributes),
        "kinds": list(log.kinds),
        "sessions": log.session is not None,
        "splits": {name: _cut(dataset, protocol) for name, protocol in PROTOCOLS.items()},
        "import": dataset.facts.as_json(),
    }


def span(log: EventLog) -> dict[str, Any] | None:
    """Give the first and the last moment."""
    if not len(log):
        return None
    first, last = int(log.time[0]), int(log.time[-1])
    return {"first": first, "last": last, "from": format_time(first), "to": format_time(last)}


def tied(log: EventLog) -> np.ndarray:
    """Mark events that share their instant with another event of the same user; bool [N].

    The log is in (time, user, item) order, so such events stand side by side.
    """
    marks = np.zeros(len(log), dtype=np.bool_)
    same = (log.time[1:] == log.time[:-1]) & (log.user[1:] == log.user[:-1])
    marks[1:] |= same
    marks[:-1] |= same
    return marks


def events_per_user(log: EventLog) -> dict[str, int]:
    """Give quantiles of the number of events, over the users that have any; empty for an empty log."""
    counts = np.bincount(log.user, minlength=log.user_count)
    counts = counts[counts > 0]
    if not len(counts):
        return {}
    values = np.percentile(counts, QUANTILES, method="nearest")
    return {f"{percent}%": int(value) for percent, value in zip(QUANTILES, values, strict=True)}


def _share(marks: np.ndarray) -> float | None:
    return float(marks.mean()) if len(marks) else None


def _cut(dataset: Dataset, protocol: Protocol) -> dict[str, Any]:
    """Say what a protocol makes of the log; a log that it refuses is an answer, not an error."""
    try:
        split = protocol(dataset)
    except DataError as error:
        return {"fits": False, "reason": f"{error.what}; got {error.got}"}
    parts = {"train": len(split.train), "valid": len(split.valid), "test": len(split.test)}
    return {"fits": True, **parts, "notes": list(split.notes)}
