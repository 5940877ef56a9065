"""Routes for what happens: events, items and users that come in, a person's history, and its erasure."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request

from recollect.service.auth import AdminRoute, ReadRoute, WriteRoute
from recollect.service.past import PLACE, past_events
from recollect.service.problems import documented, request_id
from recollect.service.records import Added, Item, NewEvent, User
from recollect.service.replies import AddedAnswer, ErasedAnswer, EventsAnswer, HistoryAnswer
from recollect.service.shapes import EventsIn, Id, ItemIn, ItemsIn, UsersIn
from recollect.service.state import Service, service_of

reading = APIRouter(route_class=ReadRoute, tags=["people"], responses=documented())
writing = APIRouter(route_class=WriteRoute, tags=["events"], responses=documented())
erasing = APIRouter(route_class=AdminRoute, tags=["people"], responses=documented())

TheService = Annotated[Service, Depends(service_of)]
UserId = Annotated[Id, Path(description="Id of the user, percent-encoded; a slash in it is `%2F`.")]


@writing.post("/v1/events", summary="Add events")
async def add_events(request: Request, body: EventsIn, service: TheService) -> EventsAnswer:
    """Add one event or many. The answer comes once they are durable, and every later answer knows them.

    An event whose id is there already is a duplicate: it is named, and changes nothing. The same id with other content
    is refused, and then no event of the request is kept.
    """
    engine = service.engine
    events = [NewEvent(one.id, one.user, one.item, one.value, one.time) for one in body.events]
    appended = await service.call(lambda: engine.append(events), kind="writes")
    service.metrics.events(accepted=len(appended.accepted), duplicates=len(appended.duplicates))
    return EventsAnswer(
        request_id=request_id(request.scope),
        accepted=len(appended.accepted),
        duplicates=list(appended.duplicates),
        last_seq=appended.accepted[-1].seq if appended.accepted else None,
    )


@writing.post("/v1/items", summary="Add items")
async def add_items(request: Request, body: ItemsIn, service: TheService) -> AddedAnswer:
    """Add items to the catalog; they can be recommended at once."""
    engine = service.engine
    items = [_item(one) for one in body.items]
    return _added(await service.call(lambda: engine.add_items(items), kind="writes"), request)


@writing.post("/v1/users", summary="Add users")
async def add_users(request: Request, body: UsersIn, service: TheService) -> AddedAnswer:
    """Add users with profiles. A user without one needs no adding: the first event does."""
    engine = service.engine
    users = [User(one.id, one.profile) for one in body.users]
    return _added(await service.call(lambda: engine.add_users(users), kind="writes"), request)


@reading.get("/v1/users/{user:path}/history", summary="Show a person's events")
async def history(
    request: Request,
    user: UserId,
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    after: Annotated[str | None, Query(pattern=PLACE, description="`next` of the page before.")] = None,
) -> HistoryAnswer:
    """Show the events of a person that came in live, the last first, then the imported ones."""
    _check_segments(request, behind=1)
    page = await service.call(lambda: past_events(service, user, limit=limit, after=after), kind="reads")
    return HistoryAnswer(request_id=request_id(request.scope), user=user, events=page.events, next=page.next)


@erasing.delete("/v1/users/{user:path}", summary="Erase a person")
async def erase(request: Request, user: UserId, service: TheService) -> ErasedAnswer:
    """Erase the events, kept answers, profile and caches of a person, and say how much that was.

    Imported events stand in a folder that is never written to; they are never shown again.
    """
    _check_segments(request, behind=0)
    engine = service.engine
    erased = await service.call(lambda: engine.erase(user), kind="writes")
    return ErasedAnswer(
        request_id=request_id(request.scope),
        user=user,
        events=erased.events,
        requests=erased.requests,
        profile=erased.profile,
        imported=erased.imported,
    )


def _check_segments(request: Request, *, behind: int) -> None:
    """See that a user's id is one segment of the path, as it was sent: whoever erases `a/history` says so.

    Raises
    ------
    HTTPException
        With status 404 or 405, if a slash in the id is not encoded, or if one is that should part the path.
    """
    segments = request.scope["raw_path"].decode("latin-1").partition("/v1/users/")[2].split("/")
    if len(segments) != 1 + behind:
        is_other = len(segments) == 1 or (len(segments) == 2 and segments[1] == "history")
        raise HTTPException(405 if is_other else 404, headers={"Allow": "GET" if behind == 0 else "DELETE"})


def _item(item: ItemIn) -> Item:
    year = {} if item.year is None else {"year": item.year}
    return Item(item.id, item.title, tuple(item.genres), {**item.attributes, **year})


def _added(added: Added, request: Request) -> AddedAnswer:
    return AddedAnswer(
        request_id=request_id(request.scope), added=len(added.accepted), duplicates=list(added.duplicates)
    )
