"""The page: a person, their list, and what one press of a button does to it.

It decides that the page asks the same engine as the HTTP API and adds nothing to what that says; that it keeps no
state: a link names the person, the event and the list before; and that every button is a plain form, answered by a
redirect, so that all works without a script, and a reload repeats nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import TypeAdapter, ValidationError

from recollect import __version__
from recollect.errors import Overloaded, RecollectError, UsageError, meaning
from recollect.service.page_guard import PageRoute
from recollect.service.page_person import Asked, People, Press
from recollect.service.page_start import Start
from recollect.service.problems import Refused
from recollect.service.shapes import Id
from recollect.service.state import Service, service_of

_HERE: Final = Path(__file__).parent
_TYPES: Final = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_FIELDS: Final = 12
_WORDS: Final = 200  # characters of a search
_ID: Final[TypeAdapter[str]] = TypeAdapter(Id)


class Pages:
    """Hold what the routes share: templates, files and readers.

    Parameters
    ----------
    service : Service
        What is shown.
    """

    def __init__(self, service: Service) -> None:
        self.start = Start(service)
        self.people = People(service)
        self.files = {name: (_HERE / "static" / name).read_bytes() for name in _TYPES}
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        digests = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in self.files.items()}
        self._given = {"digests": digests, "version": __version__}

    def show(self, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Print a template."""
        return HTMLResponse(self._templates.get_template(name).render(self._given | values), status_code=status)

    def show_problem(self, request: Request, error: RecollectError) -> Response:
        """Print what went wrong; while the service starts, the browser asks again by itself."""
        known = isinstance(error, Refused)
        status = error.status if known else meaning(error).http_status
        shown = self.show("problem.html", status=status, error=error, starting=status == 503)
        shown.headers.update(error.headers if known else {})
        if status == 503 and request.method == "GET":
            shown.headers["Refresh"] = "2"
        if status == 401:
            shown.headers["WWW-Authenticate"] = 'Basic realm="recollect: any name, an API key as password"'
        return shown


def pages_of(request: Request) -> Pages:
    """Return the pages of the application that a request came to."""
    pages: Pages = request.app.state.pages
    return pages


def mount_page(app: FastAPI, service: Service) -> None:
    """Add the page to an application whose `state` has `service` and `gate`; call it after the routes of the API."""
    app.state.pages = Pages(service)
    app.include_router(router, include_in_schema=False)


router = APIRouter(route_class=PageRoute, default_response_class=HTMLResponse)
ThePages = Annotated[Pages, Depends(pages_of)]
TheService = Annotated[Service, Depends(service_of)]


@router.get("/")
async def start(request: Request, pages: ThePages, service: TheService) -> Response:
    """Show people to choose from; somebody's very id leads to their page."""
    find = request.query_params.get("find", "").strip()[:_WORDS]
    if find and service.engine.has_user(find):
        return RedirectResponse(_link(user=find), status_code=303)
    page = await service.call(lambda: pages.start.page(find), kind="reads")
    return pages.show("start.html", page=page)


@router.get("/person")
async def person(request: Request, pages: ThePages, service: TheService) -> Response:
    """Show a person: their list, their past, and titles to like."""
    given = request.query_params
    asked = Asked(
        user=_checked_id("user", given),
        find=given.get("find", "").strip()[:_WORDS],
        event=given.get("event", ""),
        was=given.get("was", ""),
        milliseconds=_milliseconds(given.get("took", "")),
    )
    answer = await service.call(lambda: pages.people.answer(asked), kind="answers")
    try:
        why = await service.call(lambda: pages.people.explanation(answer), kind="explanations")
    except Overloaded:  # the list stands without its reasons
        why = None
    page = await service.call(lambda: pages.people.page(asked, answer, why), kind="reads")
    return pages.show("person.html", page=page)


@router.get("/person/titles")
async def titles(request: Request, pages: ThePages, service: TheService) -> Response:
    """Show only the titles that a search finds, for a script that asks while somebody types."""
    user, find = _checked_id("user", request.query_params), request.query_params.get("find", "").strip()[:_WORDS]
    hits = await service.call(lambda: pages.people.hits(user, find), kind="reads")
    return pages.show("titles.html", hits=hits, find=find)


@router.post("/person/new")
async def new_person() -> Response:
    """Give a new person an id and show their page; the first event makes them known."""
    return RedirectResponse(_link(user=f"new-{secrets.token_hex(4)}"), status_code=303)


@router.post("/person/event")
async def press(request: Request, pages: ThePages, service: TheService) -> Response:
    """Add the event of a button and show the list again."""
    form = await _form(request)
    verdict = "like" if "like" in form else "dislike"
    pressed = Press(_checked_id("user", form), _checked_id(verdict, form), verdict == "like", form.get("token", ""))
    event, milliseconds = await service.call(lambda: pages.people.press(pressed), kind="writes")
    kept = {"find": form.get("find", "")[:_WORDS], "was": form.get("was", ""), "took": f"{milliseconds:.2f}"}
    return RedirectResponse(_link(user=pressed.user, event=event, **kept), status_code=303)


@router.get("/static/{name}")
async def static(name: str, pages: ThePages) -> Response:
    """Give a file of the page; its address has its digest, so it may be kept for good.

    Raises
    ------
    Refused
        With status 404, if there is no such file.
    """
    if name not in pages.files:
        raise Refused("no such file", status=404, got=name, expected="a file of the page", do="go to /")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(pages.files[name], media_type=_TYPES[name], headers=headers)


def _link(**values: str) -> str:
    """Write a link to a person's page; what is empty is left out."""
    return f"/person?{urlencode({name: value for name, value in values.items() if value})}"


def _checked_id(name: str, given: Mapping[str, str]) -> str:
    """Return an id that was given.

    Raises
    ------
    UsageError
        If it is missing, too long, or has control characters.
    """
    try:
        return _ID.validate_python(given.get(name, ""))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]["msg"]
        raise UsageError(
            f"no good {name} id", got=repr(given.get(name)), expected=fault, do="start again at the first page"
        ) from error


def _milliseconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e6 else None


async def _form(request: Request) -> dict[str, str]:
    """Read the fields of a form.

    Raises
    ------
    UsageError
        If that is no form of this page.
    """
    body = await request.body()
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError as error:
        raise UsageError(
            "a form that cannot be read", got=error, expected="the form of this page", do="reload the page"
        ) from error
