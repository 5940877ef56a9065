"""The logs of the CoLLM, BinLLM and RecICL line of work: one CSV with labels, titles and the published parts.

It decides that the label column (0 or 1) is the value, and that the part of each row is kept as the source gives it,
for the protocol `collm-ml1m`.
"""

from __future__ import annotations

from recollect.data.readers.plan import Place, Plan
from recollect.data.readers.tables import Delimited, header_of

_NEEDED = {"uid", "iid", "label", "timestamp", "title", "split"}


def plan_collm(place: Place) -> Plan | None:
    """Recognise `interactions.csv` by its header."""
    events = place.events("interactions.csv")
    if events is None or not set(header_of(events, ",")) >= _NEEDED:
        return None
    return Plan(
        format="collm",
        events=Delimited.with_header(events, ","),
        columns={
            "user": "uid",
            "item": "iid",
            "value": "label",
            "time": "timestamp",
            "title": "title",
            "part": "split",
        },
        rule="label>=1",
    )
