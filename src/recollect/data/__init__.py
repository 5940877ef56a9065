"""The data room: logs, catalogs, users; readers of public formats; the past, splits, protocols. No torch.

Everything above takes a `Dataset` (an `EventLog`, a `Catalog`, `Users` and the `Facts` of its import) and asks `Past`
what an event may see.
"""

from __future__ import annotations

from recollect.data.catalog import Catalog, Users
from recollect.data.dataset import Dataset
from recollect.data.facts import BadLine, Facts
from recollect.data.labels import LabelRule
from recollect.data.log import EventLog
from recollect.data.past import Past, PastRule
from recollect.data.protocols import PROTOCOLS, Protocol, resolve
from recollect.data.readers import FORMATS, read
from recollect.data.splits import Split, periods, split_by_time, split_until

__all__ = [
    "FORMATS",
    "PROTOCOLS",
    "BadLine",
    "Catalog",
    "Dataset",
    "EventLog",
    "Facts",
    "LabelRule",
    "Past",
    "PastRule",
    "Protocol",
    "Split",
    "Users",
    "periods",
    "read",
    "resolve",
    "split_by_time",
    "split_until",
]
