"""The outer edge of HTTP: what holds for every request, whatever becomes of it.

It decides that each request has an id, which every answer carries, and that whatever leaves a route by accident becomes
an answer and a line of the log with its traceback. Nothing that a caller wrote is logged or counted: a path is told as
the template of its route.
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recollect.service.logs import write
from recollect.service.metrics import Metrics
from recollect.service.problems import REQUEST_ID, as_response, request_id

_UNMATCHED: Final = "unmatched"


class Edge:
    """Give ids, catch what was not caught, log and count.

    Parameters
    ----------
    app : ASGIApp
        What is behind.
    metrics : Metrics
        Where requests are counted.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; the signature is ASGI's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["request_id"] = uuid.uuid4().hex
        begun, status = time.perf_counter(), 0

        async def pass_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                headers[REQUEST_ID] = request_id(scope)
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        try:
            await self._app(scope, receive, pass_on)
        except Exception as error:
            write("fault", level=logging.ERROR, error=error, request_id=request_id(scope), route=_route(scope))
            if status:
                raise
            await as_response(error, scope)(scope, receive, pass_on)
        finally:
            self._note(scope, status=status, seconds=time.perf_counter() - begun)

    def _note(self, scope: Scope, *, status: int, seconds: float) -> None:
        route, method = _route(scope), str(scope["method"])
        self._metrics.request(route, method=method, status=status, seconds=seconds)
        write(
            "request",
            level=logging.DEBUG if route in _QUIET else logging.INFO,
            request_id=request_id(scope),
            method=method if route != _UNMATCHED else "-",
            route=route,
            status=status,
            milliseconds=round(1000 * seconds, 3),
        )


_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path_format", None) or getattr(route, "path", None) or _UNMATCHED)
