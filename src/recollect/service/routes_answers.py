"""Routes for questions: recommend, rank, rerank, and why.

It decides that the request id of an answer is that of the engine, so that it can be explained; and how the request of a
reranker is read: its query is a user or a history, its documents are items, by id or by title.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from recollect.service.auth import ReadRoute
from recollect.service.documents import items_of
from recollect.service.problems import documented, request_id
from recollect.service.queries import Answer, InlineEvent, Query
from recollect.service.replies import (
    ExplainAnswer,
    ExplainedItem,
    RankingAnswer,
    ReasonOut,
    RerankAnswer,
    RerankDocument,
    RerankResult,
    ScoredItem,
)
from recollect.service.shapes import Id, RankIn, RecommendIn, RerankIn
from recollect.service.shapes import InlineEvent as InlineShape
from recollect.service.state import Service, service_of

answering = APIRouter(route_class=ReadRoute, tags=["answers"], responses=documented())

TheService = Annotated[Service, Depends(service_of)]


@answering.post("/v1/recommend", summary="Recommend items")
async def recommend(request: Request, body: RecommendIn, service: TheService) -> RankingAnswer:
    """Recommend items to a user, or for an anonymous history; past the deadline the light ranker answers."""
    query = Query(
        user=body.user,
        history=_history(body.history),
        limit=body.limit,
        candidates=None if body.candidates is None else _once(body.candidates),
        exclude=tuple(body.exclude),
        filter={name: _wanted(value) for name, value in body.filter.items()},
        diversity=body.diversity,
        deadline_ms=body.deadline_ms,
    )
    engine = service.engine
    return _ranking(_counted(await service.call(lambda: engine.recommend(query), kind="answers"), request, service))


@answering.post("/v1/rank", summary="Score given items")
async def rank(request: Request, body: RankIn, service: TheService) -> RankingAnswer:
    """Score the given items: the calibrated probability of a like for each, best first."""
    query = Query(
        user=body.user,
        history=_history(body.history),
        limit=len(body.candidates),
        candidates=_once(body.candidates),
        deadline_ms=body.deadline_ms,
    )
    engine = service.engine
    return _ranking(_counted(await service.call(lambda: engine.rank(query), kind="answers"), request, service))


@answering.post("/v1/rerank", summary="Rerank documents")
async def rerank(request: Request, body: RerankIn, service: TheService) -> RerankAnswer:
    """Put documents in order for a user: the request and the answer that rerankers in search stacks speak."""
    engine = service.engine
    whole = isinstance(body.query, str)
    items = items_of(body.documents, engine.catalog)
    query = Query(
        user=body.query if isinstance(body.query, str) else None,
        history=() if whole else _history(body.query if isinstance(body.query, list) else None),
        limit=len(items),
        candidates=_once(items),
        deadline_ms=body.deadline_ms,
    )
    answer = _counted(await service.call(lambda: engine.rank(query), kind="answers"), request, service)
    scores = {one.item: one.score for one in answer.ranking.items}
    places = sorted(range(len(items)), key=lambda place: -scores[items[place]])[: body.top_n]
    titles = {one.item: one.title for one in answer.ranking.items}
    return RerankAnswer(
        id=answer.request_id,
        request_id=answer.request_id,
        model=answer.arm,
        ranker=answer.ranker,
        fallback=answer.fallback,
        results=[
            RerankResult(
                index=place,
                relevance_score=scores[items[place]],
                document=RerankDocument(id=items[place], text=titles[items[place]]) if body.return_documents else None,
            )
            for place in places
        ],
    )


@answering.get("/v1/explain/{request_id}", summary="Explain an answer")
async def explain(
    request: Request, asked: Annotated[Id, Path(alias="request_id")], service: TheService
) -> ExplainAnswer:
    """Say why an earlier answer was what it was: for each item the past events that carried weight."""
    engine = service.engine
    found = await service.call(lambda: engine.explain(asked), kind="explanations")
    return ExplainAnswer(
        request_id=request_id(request.scope),
        explained=found.request_id,
        user=found.user,
        ranker=found.ranker,
        fallback=found.fallback,
        arm=found.arm,
        made=found.made,
        exact=found.exact,
        items=[
            ExplainedItem(
                item=one.item,
                title=one.title,
                score=one.score,
                rank=one.rank,
                reasons=[
                    ReasonOut(item=why.item, title=why.title, liked=why.liked, weight=why.weight, time=why.time)
                    for why in one.reasons
                ],
            )
            for one in found.items
        ],
        trace=dict(found.trace),
        digest=found.digest,
        untouched=found.untouched,
    )


def _counted(answer: Answer, request: Request, service: Service) -> Answer:
    """Count an answer, and let its request id be that of the HTTP answer."""
    request.scope["state"]["request_id"] = answer.request_id
    service.metrics.answer(arm=answer.arm, ranker=answer.ranker, fallback=answer.fallback)
    return answer


def _ranking(answer: Answer) -> RankingAnswer:
    return RankingAnswer(
        request_id=answer.request_id,
        ranker=answer.ranker,
        fallback=answer.fallback,
        arm=answer.arm,
        known=answer.ranking.trace.known,
        milliseconds=answer.milliseconds,
        items=[
            ScoredItem(item=one.item, title=one.title, score=one.score, rank=one.rank) for one in answer.ranking.items
        ],
    )


def _history(events: list[InlineShape] | None) -> tuple[InlineEvent, ...]:
    return tuple(InlineEvent(one.item, one.value) for one in events or ())


def _wanted(value: Any) -> Any:
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else value


def _once(items: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
