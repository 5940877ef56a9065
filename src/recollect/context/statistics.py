"""What the whole log knew of an item at a moment: how often it was rated and how well.

These two numbers travel with every soft token, so that a model that is never retrained still follows an item's
reputation as it changes. They are *causal*: at time t only events older than t (and known, with a label delay) count,
so tuning, replay and serving read the same numbers. Source of the idea: the causal in-context statistics of the
boosted reference model; which of them enter, and how, is our own choice (two, plus the residual of a past event).

It decides the smoothing: ``mean = (likes + 5 prior) / (count + 5)`` with the like share of the tuning part as prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64
from scipy.special import expit, logit

from recollect.data.log import EventLog
from recollect.data.order import stable_order

PSEUDO_COUNT: Final = 5.0
EVENT_FEATURES: Final = ("item log-odds", "item log-count", "residual", "answered")
"""Numbers of an event; the last two are zero until it is answered."""

_BLOCK: Final = 1 << 20  # events described at once
_MANY: Final = 1 << 12  # questions that are worth putting in order first


@dataclass(frozen=True, eq=False, slots=True)
class ItemStatistics:
    """Answer how often an item was rated and liked before a moment; linear to build, one search per question.

    Parameters
    ----------
    keys : Int64[N]
        Ascending: item times `span` plus the event's age since `first`.
    likes : Int64[N + 1]
        Running count of likes in that order.
    starts : Int64[I + 1]
        Where each item's events begin in that order.
    first, span : int
        First time of the log in unix seconds, and the width of one item's keys.
    prior : float
        Like share that an unknown item is given, between 0 and 1.
    gap : int
        Least age in seconds at which an event counts, 1 or more.
    """

    keys: Int64[np.ndarray, " N"]
    likes: Int64[np.ndarray, " M"]
    starts: Int64[np.ndarray, " J"]
    first: int
    span: int
    prior: float
    gap: int

    @classmethod
    def of(cls, log: EventLog, *, prior: float, gap: int = 1) -> ItemStatistics:
        """Count a log.

        Parameters
        ----------
        log : EventLog
            N events in time order.
        prior : float
            Like share for unknown items.
        gap : int
            Least age in seconds at which an event counts.
        """
        order = stable_order(log.item)  # the log is in time order, so each item's events stay so
        first = int(log.time[0]) if len(log) else 0
        span = int(log.time[-1]) - first + 2 if len(log) else 1
        counts = np.bincount(log.item, minlength=log.item_count)
        return cls(
            keys=np.repeat(np.arange(log.item_count), counts) * span + (log.time[order] - first),
            likes=np.concatenate([[0], np.cumsum(log.label[order], dtype=np.int64)]),
            starts=np.concatenate([[0], np.cumsum(counts)]),
            first=first,
            span=span,
            prior=prior,
            gap=max(gap, 1),
        )

    def at(self, items: Int32[np.ndarray, " K"], times: int | Int64[np.ndarray, " K"]) -> Float32[np.ndarray, "K 4"]:
        """Return the features of items at moments, as not yet answered.

        Parameters
        ----------
        items : Int32[K]
            Item codes; codes beyond the log are unknown items.
        times : int or Int64[K]
            Moments in unix seconds.
        """
        return self.describe(*self.counts(items, times))

    def counts(
        self, items: Int32[np.ndarray, " K"], times: int | Int64[np.ndarray, " K"]
    ) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " K"]]:
        """Count the ratings and likes of items before moments; 0 for items beyond the log."""
        known = items < len(self.starts) - 1
        safe = np.where(known, items, 0).astype(np.int64)
        age = np.clip(np.asarray(times, np.int64) - self.gap - self.first, -1, self.span - 1)
        end = _searched(self.keys, safe * self.span + age)
        start = self.starts[safe]
        end = np.maximum(end, start)
        return np.where(known, end - start, 0), np.where(known, self.likes[end] - self.likes[start], 0)

    def describe(self, count: Int64[np.ndarray, " K"], likes: Int64[np.ndarray, " K"]) -> Float32[np.ndarray, "K 4"]:
        """Turn numbers of ratings and likes into features, as not yet answered."""
        mean = (likes + PSEUDO_COUNT * self.prior) / (count + PSEUDO_COUNT)
        features = np.zeros((len(count), len(EVENT_FEATURES)), np.float32)
        features[:, 0] = logit(mean) - logit(self.prior)
        features[:, 1] = np.log1p(count) / 4
        return features

    def events(self, log: EventLog, *, block: int = _BLOCK) -> Float32[np.ndarray, "N 4"]:
        """Return the features of the events of a log, each at its own moment and answered.

        They are made in blocks, so that beside the features memory stays small.

        Parameters
        ----------
        log : EventLog
            N events.
        block : int
            Events that are described at once.
        """
        features = np.empty((len(log), len(EVENT_FEATURES)), np.float32)
        for start in range(0, len(log), block):
            part = slice(start, start + block)
            features[part] = self.answered(self.at(log.item[part], log.time[part]), log.label[part])
        return features

    def answered(
        self, features: Float32[np.ndarray, "K 4"], labels: Bool[np.ndarray, " K"]
    ) -> Float32[np.ndarray, "K 4"]:
        """Fill in what the answers add: twice the label less the item's mean at that moment, and a one."""
        mean = expit(features[:, 0].astype(np.float64) + logit(self.prior))
        filled = features.copy()
        filled[:, 2] = 2 * (labels - mean)
        filled[:, 3] = 1
        return filled


def _searched(keys: Int64[np.ndarray, " N"], bounds: Int64[np.ndarray, " K"]) -> Int64[np.ndarray, " K"]:
    """Count the keys up to each bound; many bounds are looked up in ascending order, since memory is slow at random."""
    if len(bounds) < _MANY:
        return np.searchsorted(keys, bounds, side="right")
    order = np.argsort(bounds)
    found = np.empty(len(bounds), np.int64)
    found[order] = np.searchsorted(keys, bounds[order], side="right")
    return found
