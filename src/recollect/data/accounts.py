"""Shared accounts: a log in which two persons at a time use one account, made from a log in which each has their own.

What it is for: a household that shares an account contaminates a person's past with events of somebody else, and the
log tells the truth about it. It decides that the two persons of an account are those whose events lie nearest in time
(neighbours in the order of their median event), so that their events mix; whoever is left over stays alone. Rows keep
their meaning: a split of the one log becomes the same split of the other.

Dimension letters: N events, U users.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Int32, Int64

from recollect.data.dataset import Dataset
from recollect.data.log import EventLog
from recollect.data.order import stable_order
from recollect.data.splits import Split


def share_accounts(dataset: Dataset, split: Split) -> tuple[Dataset, Split]:
    """Join users two by two, and give the same rows of the new log.

    Parameters
    ----------
    dataset : Dataset
        A log of N events.
    split : Split
        Rows of it.

    Returns
    -------
    tuple of Dataset and Split
        The log with shared accounts, each under the id of its first person, and the split in its rows.
    """
    log = dataset.log
    user = _accounts(log)[log.user]
    order = stable_order(log.time, user, log.item)
    columns = {name: column[order] for name, column in (log.columns() | {"user": user}).items()}
    shared = EventLog(**columns, user_count=log.user_count, item_count=log.item_count, kinds=log.kinds)
    place = np.empty(len(log), np.int64)
    place[order] = np.arange(len(log))
    parts = {name: np.sort(place[getattr(split, name)]) for name in ("train", "valid", "test")}
    notes = (*split.notes, "two persons share each account")
    return replace(dataset, log=shared), replace(split, **parts, notes=notes)


def _accounts(log: EventLog) -> Int32[np.ndarray, " U"]:
    """Return the account of each user: the code of its first person."""
    account = np.arange(log.user_count, dtype=np.int32)
    active = np.flatnonzero(np.bincount(log.user, minlength=log.user_count))
    nearest = active[np.argsort(_medians(log, active), kind="stable")]
    first, second = nearest[0 : len(nearest) - 1 : 2], nearest[1::2]
    account[second] = first
    return account


def _medians(log: EventLog, users: Int64[np.ndarray, " K"]) -> Int64[np.ndarray, " K"]:
    """Return the time of the middle event of each user that has one."""
    by_user = np.argsort(log.user, kind="stable")  # the log is in time order, so each user's events are as well
    starts = np.searchsorted(log.user[by_user], users)
    ends = np.searchsorted(log.user[by_user], users, side="right")
    return log.time[by_user[(starts + ends) // 2]]
