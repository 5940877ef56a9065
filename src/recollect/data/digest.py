"""Digests of data: a text that differs wherever a log, its catalog or its users differ.

It decides that every column counts, whoever reads it, and that the values of a dataset never change, so that the digest
of the last one asked for is kept.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

import numpy as np

from recollect.data.dataset import Dataset
from recollect.data.log import EventLog


@lru_cache(maxsize=1)
def digest_of_log(log: EventLog) -> str:
    """Return the SHA-256 of the columns of a log with their names, as hexadecimal text."""
    sha = hashlib.sha256(json.dumps([len(log), log.kinds]).encode())
    for name, column in log.columns().items():
        sha.update(f"{name} {column.dtype}".encode())
        sha.update(np.ascontiguousarray(column).data)
    return sha.hexdigest()


@lru_cache(maxsize=1)
def digest_of_dataset(dataset: Dataset) -> str:
    """Return the SHA-256 of log, catalog and users, as hexadecimal text; what the import found does not count."""
    catalog, users = dataset.catalog, dataset.users
    items = [catalog.ids, catalog.titles, catalog.genres, catalog.years.tolist()]
    texts = json.dumps([digest_of_log(dataset.log), items, users.ids, list(users.attributes.items())])
    return hashlib.sha256(texts.encode()).hexdigest()
