"""The application: routes, edges and limits around one service.

It decides the order of the edges, from the outside: the id of the request with log and count, the size of the body,
then the framework and the routes, each of which admits its callers before it reads their bodies. The server listens
while the engine is made, so that `/healthz` answers at once and `/readyz` when everything stored is known again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from recollect import __version__
from recollect.errors import RecollectError
from recollect.service import routes_answers, routes_events, routes_operations
from recollect.service.auth import Gate
from recollect.service.edge import Edge
from recollect.service.limits import BodyLimit
from recollect.service.page import mount_page
from recollect.service.problems import answer_error
from recollect.service.state import Service

_DESCRIPTION: Final = """Recommendations that know the last event: add it, and the next answer has seen it.

Every answer carries the id of its request, in the header `X-Request-Id` and in its body."""
_BEARER: Final = HTTPBearer(
    auto_error=False, scheme_name="API key", description="A key of `recollect keys add`; none is needed on loopback."
)
_GUARDED: Final = (
    routes_events.writing,
    routes_events.reading,
    routes_events.erasing,
    routes_answers.answering,
    routes_operations.changing,
    routes_operations.reading,
)


class _Application(FastAPI):
    """The framework's application, with a schema that says when a key may be left out."""

    def openapi(self) -> dict[str, Any]:
        """Give the schema; the second of two alternatives for a key is none."""
        known = self.openapi_schema
        schema = super().openapi()
        if schema is not known and not self.state.service.settings.require_key:
            for operation in (one for path in schema["paths"].values() for one in path.values()):
                if "security" in operation:
                    operation["security"].append({})
        return schema


def create_app(service: Service) -> FastAPI:
    """Make the application of a service; it starts and stops the service with the server."""
    app = _Application(
        title="recollect",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # these two pages would fetch their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(service),
    )
    app.state.service = service
    app.state.gate = Gate(service)
    for kind in (RecollectError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer_error)
    app.include_router(routes_operations.watching)
    for router in _GUARDED:
        app.include_router(router, dependencies=[Security(_BEARER)])
    mount_page(app, service)
    app.add_middleware(BodyLimit, limit=service.settings.body_limit)
    app.add_middleware(Edge, metrics=service.metrics)
    return app


def _lifespan(service: Service) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        starting = asyncio.create_task(service.start())
        try:
            yield
        finally:
            await starting
            await service.stop()

    return lifespan
