"""Named protocols: how a published comparison cuts its log.

It decides that a protocol is a function from a dataset to a `Split`, kept in one table, and that the published counts
are held: a log that does not give them is refused, since its figures could not be compared.

Sources: ReLLa (spec `rella`, section 2: histories of at least 5, samples in (time, user, item) order, cut at int(.8 n)
and int(.1 n)); CoLLM, BinLLM, RecICL (spec `recicl`, section 1: months 14-23, 24-28, 29-33 of MovieLens-1M).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from recollect.data.dataset import Dataset
from recollect.data.log import TEST, TRAIN, VALID
from recollect.data.past import Past, PastRule
from recollect.data.splits import Split, split_by_time
from recollect.errors import DataError, UsageError

Protocol = Callable[[Dataset], Split]

_EARLIER = 5  # events that a sample of ReLLa needs before it
_PARTS = (776_007, 97_000, 97_002)  # of the whole MovieLens-1M
_COLLM_PARTS = (33_891, 10_401, 7_331)


def by_time(dataset: Dataset) -> Split:
    """Cut 80/10/10 by time, the same moments for every user."""
    return split_by_time(dataset.log)


def rella_ml1m(dataset: Dataset) -> Split:
    """Cut MovieLens-1M as ReLLa does; a copy that ends with the valid part is served without test.

    Raises
    ------
    DataError
        If the log does not give the published counts.
    """
    # Order of the log decides what is earlier here, ties included: the published samples are counted so.
    samples = np.flatnonzero(Past(dataset.log, PastRule(ties="order")).rank >= _EARLIER)
    whole, without_test = sum(_PARTS), sum(_PARTS[:2])
    _require("rella-ml1m", len(samples), among=(whole, without_test))
    train, valid, test = np.split(samples, np.cumsum(_PARTS[:2]))
    notes = () if len(test) else (f"the source lacks the test part ({_PARTS[2]:,} samples): train and valid only",)
    return Split("rella-ml1m", train, valid, test, notes + _other_rule(dataset, published=("rating>=4", "rating>3")))


def collm_ml1m(dataset: Dataset) -> Split:
    """Take the parts of the CoLLM line of work, as the source gives them; a copy without test is served.

    Raises
    ------
    DataError
        If the source gives no parts, or parts of other sizes.
    """
    part = np.zeros(0) if dataset.log.part is None else dataset.log.part
    train, valid, test = (np.flatnonzero(part == one) for one in (TRAIN, VALID, TEST))
    counts = len(train), len(valid), len(test)
    _require("collm-ml1m", counts, among=(_COLLM_PARTS, (*_COLLM_PARTS[:2], 0)))
    notes = () if counts[2] else (f"the source lacks the test part ({_COLLM_PARTS[2]:,} rows): train and valid only",)
    return Split("collm-ml1m", train, valid, test, notes + _other_rule(dataset, published=("label>=1", "label==1")))


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {"time": by_time, "rella-ml1m": rella_ml1m, "collm-ml1m": collm_ml1m}
)


def resolve(name: str) -> Protocol:
    """Return the protocol of a name.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    if name not in PROTOCOLS:
        raise UsageError(
            "an unknown protocol", got=name, expected=f"one of {', '.join(PROTOCOLS)}", do="name one of them"
        )
    return PROTOCOLS[name]


def _other_rule(dataset: Dataset, *, published: tuple[str, ...]) -> tuple[str, ...]:
    if dataset.facts.rule in published:
        return ()
    return (f"labels are {dataset.facts.rule}, not {published[0]} as published: figures do not compare",)


def _require(name: str, counts: object, *, among: tuple[object, ...]) -> None:
    if counts not in among:
        raise DataError(
            f"the log is not the one of protocol {name}",
            got=f"samples {counts}",
            expected=" or ".join(map(str, among)),
            do="use the source of that protocol, or protocol time",
        )
