"""Rates: the counted shares of likes from which the floors are made.

Decides, per statistic, what is counted and how few counts are steadied (gm = share of likes in the train part):

- item mean     = (likes + 5 gm) / (n + 5) over the item's train rows; a train row leaves itself out. It is what train
  knew: frozen in later parts, and for a train row it may count later train rows, as in the source.
- user mean     = (likes + 5 gm) / (n + 5) over the user's train rows that are visible to the row; in later parts this
  is the whole train part, in the train part only what came before (ours: the source gives no pseudo-counts; counting
  only the past keeps the rate as informative in train as it will be later, so that a regression can weigh it).
- recent rate   = (likes + 2 gm) / (n + 2) over the last K visible events, whatever their part.
- residual      = sum of (label - item mean) / (n + 2) over the same events.

Visible is what `Past` allows: ties and label delay are settled there. Time and memory are linear in the log: sums over
any stretch of a user's events are differences of one running sum.

Source: specification of RecICL, section 6.

Array letters: N log rows, I items, U users, R requested rows.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from recollect.data.log import EventLog
from recollect.data.past import Past
from recollect.errors import DataError

MEAN_PRIOR = 5.0
RECENT_PRIOR = 2.0


@dataclass(frozen=True, eq=False, slots=True)
class Rates:
    """Count shares of likes for rows of a log, with the train part as the only source of what items are like.

    Parameters
    ----------
    past : Past
        What each row may see, and the log of N events.
    in_train : Bool[N]
        Rows of the train part.
    global_mean : float
        Share of likes in the train part.
    item_likes, item_rows : Float64[I]
        Likes and rows of each item in the train part.
    starts : Int64[U+1]
        Where each user's events begin when the log is ordered by user.
    """

    past: Past
    in_train: Bool[np.ndarray, "N"]
    global_mean: float
    item_likes: Float64[np.ndarray, "I"]
    item_rows: Float64[np.ndarray, "I"]
    starts: Int64[np.ndarray, "U_and_1"]

    @classmethod
    def of(cls, past: Past, *, train: Int64[np.ndarray, "R"]) -> "Rates":
        """Count the train part of the log.

        Raises
        ------
        DataError
            When the train part is empty.
        """
        if not len(train):
            raise DataError(
                "floors have nothing to learn from",
                got="an empty train part",
                expected="at least one row",
                do="check the protocol, or move --until to a later time",
            )
        log = past.log
        in_train = np.zeros(len(log), bool)
        in_train[train] = True
        items, label = log.item[train], log.label[train]
        events = np.bincount(log.user, minlength=log.user_count)
        return cls(
            past=past,
            in_train=in_train,
            global_mean=float(label.mean()),
            item_likes=np.bincount(items, label, log.item_count),
            item_rows=np.bincount(items, minlength=log.item_count).astype(np.float64),
            starts=np.concatenate([[0], np.cumsum(events)]).astype(np.int64),
        )

    @property
    def log(self) -> EventLog:
        """The log whose rows are asked for."""
        return self.past.log

    def item_mean(self, rows: Int64[np.ndarray, "R"]) -> Float64[np.ndarray, "R"]:
        """Give the item's share of likes in the train part, the row itself left out."""
        item, itself = self.log.item[rows], self.in_train[rows]
        likes = self.item_likes[item] - (itself & self.log.label[rows])
        return self._steadied(likes, self.item_rows[item] - itself, prior=MEAN_PRIOR)

    def user_mean(self, rows: Int64[np.ndarray, "R"]) -> Float64[np.ndarray, "R"]:
        """Give the user's share of likes over the train rows that are visible to the row."""
        likes, _ = self._visible_sums(self.log.label & self.in_train, rows, last=None)
        count, _ = self._visible_sums(self.in_train, rows, last=None)
        return self._steadied(likes, count, prior=MEAN_PRIOR)

    def recent_rate(self, rows: Int64[np.ndarray, "R"], *, last: int) -> Float64[np.ndarray, "R"]:
        """Give the share of likes among the user's last visible events."""
        likes, count = self._visible_sums(self.log.label, rows, last=last)
        return self._steadied(likes, count, prior=RECENT_PRIOR)

    def residual(self, rows: Int64[np.ndarray, "R"], *, last: int | None) -> Float64[np.ndarray, "R"]:
        """Give how far the user's last visible labels (all of them for None) lie above what their items explain."""
        everything = np.arange(len(self.log))
        above, count = self._visible_sums(self.log.label - self.item_mean(everything), rows, last=last)
        return above / (count + RECENT_PRIOR)

    def _steadied(
        self, likes: Float64[np.ndarray, "R"], count: Float64[np.ndarray, "R"], *, prior: float
    ) -> Float64[np.ndarray, "R"]:
        return (likes + prior * self.global_mean) / (count + prior)

    def _visible_sums(
        self,
        values: Bool[np.ndarray, "N"] | Float64[np.ndarray, "N"],
        rows: Int64[np.ndarray, "R"],
        *,
        last: int | None,
    ) -> tuple[Float64[np.ndarray, "R"], Float64[np.ndarray, "R"]]:
        """Sum values over the last visible events of each row's user; also say over how many events."""
        by_user = np.empty(len(values))
        by_user[self.starts[self.log.user] + self.past.rank] = values
        running = np.concatenate([[0.0], np.cumsum(by_user)])
        count = self.past.visible[rows].astype(np.int64)
        if last is not None:
            count = np.minimum(count, last)
        end = self.starts[self.log.user[rows]] + self.past.visible[rows]
        return running[end] - running[end - count], count.astype(np.float64)
