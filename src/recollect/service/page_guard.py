"""The edge of the page: who may see it, that forms come from it, and what a browser may do with it.

It decides that the page admits callers like the API does; that a browser may give an API key as a password (Basic),
since it has no other way to ask for one; that a form is taken only from a page of ours, as the browser itself says
(`Sec-Fetch-Site`, else `Origin`); that nothing is loaded from elsewhere and no script stands in the HTML; and that what
goes wrong is told in HTML, in the words of `recollect.errors`.

Source: OWASP Cross-Site Request Forgery Prevention, "Fetch Metadata" and "Verifying Origin"; W3C Fetch Metadata.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.routing import APIRoute

from recollect.errors import RecollectError
from recollect.service.problems import Refused

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of everything that the page answers."""

_KEEP: Final = "Cache-Control"


class PageRoute(APIRoute):
    """A route of the page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the checks before the handler, and the headers behind it."""
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                response = await _admitted(request, handler)
            except RecollectError as error:
                response = request.app.state.pages.show_problem(request, error)
            response.headers.update(HEADERS)
            response.headers.setdefault(_KEEP, "no-store")
            return response

        return guarded


async def _admitted(request: Request, handler: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    posted = request.method == "POST"
    if posted:
        check_origin(request.headers)
    await request.app.state.gate.admit(_with_bearer(request), "write" if posted else "read")
    return await handler(request)


def check_origin(headers: Mapping[str, str]) -> None:
    """See that a form was sent from a page of this very origin.

    Parameters
    ----------
    headers : mapping
        Of the request; names in lower case.

    Raises
    ------
    Refused
        With status 403 if not, or if the browser does not say.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site == "same-origin":
        return
    if site is None and origin and urlsplit(origin).netloc == headers.get("host"):
        return
    raise Refused(
        "a form from another page",
        status=403,
        got=f"a request from {site or origin or 'an unknown place'}",
        expected="a form of this service's own page",
        do="open the page and press the button there; programs use POST /v1/events",
    )


def _with_bearer(request: Request) -> Request:
    """Hand on the password of Basic credentials as the API key that it is."""
    kind, _, coded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return request
    try:
        _, _, secret = base64.b64decode(coded, validate=True).decode("utf-8").partition(":")
    except ValueError:  # no base64, or no UTF-8 in it
        return request
    others = [pair for pair in request.scope["headers"] if pair[0] != b"authorization"]
    bearer = (b"authorization", b"Bearer " + secret.encode("utf-8"))
    return Request({**request.scope, "headers": [*others, bearer]})
