"""Explaining an answer after it was given: what is kept of it, and how its reasons are found again.

It decides that nothing is computed for an explanation until somebody asks for it: kept are the items, the scores and
the trace, which says of which moment the answer was and how many events it knew. The model is then asked again about
that moment; whether it says the same is part of the explanation. An item that is gone since, with the events that alone
named it, has no reasons. Of an anonymous history nothing is kept, so its
answers have no reasons.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np

from recollect.rank.ask import Ask
from recollect.rank.ranking import RankedItem
from recollect.service.arms import Arm, Arms
from recollect.service.queries import Answer, Explanation, Query
from recollect.service.records import Request

_EXPLAINED: Final = 10  # items of an answer that get reasons
_REMEMBERED: Final = 100  # items of an answer that are remembered
_SAME: Final = 1e-4


def remembered(query: Query, answer: Answer, *, digest: str) -> Request:
    """Return what is kept of an answer by a model with this digest."""
    items = [(item.item, item.title, item.score) for item in answer.ranking.items[:_REMEMBERED]]
    trace = asdict(answer.ranking.trace)
    payload = {"items": items, "trace": trace, "fallback": answer.fallback, "seq": answer.seq, "digest": digest}
    return Request(answer.request_id, query.user, answer.arm, answer.ranker, payload, int(time.time()))


def explained(request: Request, arms: Arms) -> Explanation:
    """Say why an answer was what it was.

    Parameters
    ----------
    request : Request
        What was kept of it.
    arms : Arms
        Those that answer now; the one that answered is asked again, or the first one if it is gone.
    """
    payload = request.payload
    answered = next((one for one in arms if one.digest == payload["digest"]), None)
    items = [RankedItem(number + 1, *one) for number, one in enumerate(payload["items"])]
    exact = False
    if request.ranker == "model" and request.user is not None and items:
        items, exact = _asked_again(request.user, items, payload, answered or arms.first)
    return Explanation(
        request_id=request.id,
        user=request.user,
        ranker=request.ranker,
        fallback=payload["fallback"],
        arm=request.arm,
        made=request.made,
        items=tuple(items),
        exact=exact,
        trace=payload["trace"],
        digest=payload["digest"],
        untouched=answered is not None and answered.is_untouched(),
    )


def _asked_again(user: str, items: list[RankedItem], payload: Any, arm: Arm) -> tuple[list[RankedItem], bool]:
    """Give the first items their reasons, and say whether their scores are the same again."""
    trace, top = payload["trace"], items[:_EXPLAINED]
    there = [code for item in top if (code := arm.recommender.catalog.find(item.item, -1)) >= 0]
    if not there:
        return items, False
    codes = np.array(there, np.int32)
    ask = Ask(user=user, at=trace["time"], known=trace["known"], top=len(top), items=codes, explain=True)
    found = {item.item: item for item in arm.recommender.answer(ask).items}
    close = len(there) == len(top) and all(abs(found[item.item].score - item.score) < _SAME for item in top)
    reasoned = [replace(item, reasons=found[item.item].reasons) if item.item in found else item for item in top]
    return [*reasoned, *items[_EXPLAINED:]], close and arm.digest == payload["digest"]
