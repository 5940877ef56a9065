"""Routes for those who run the service: health, readiness, figures, and which model answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from recollect.errors import RunNotFound
from recollect.service.auth import AdminRoute, ReadRoute
from recollect.service.metrics import CONTENT_TYPE
from recollect.service.problems import documented, request_id
from recollect.service.queries import Status
from recollect.service.replies import ArmOut, HealthAnswer, ReadyAnswer, StatusAnswer
from recollect.service.shapes import ActivateIn
from recollect.service.state import Service, service_of

watching = APIRouter(tags=["operation"], responses=documented())
reading = APIRouter(route_class=ReadRoute, tags=["operation"], responses=documented())
changing = APIRouter(route_class=AdminRoute, tags=["operation"], responses=documented())

TheService = Annotated[Service, Depends(service_of)]


@watching.get("/healthz", summary="Is the process alive?")
async def health(request: Request) -> HealthAnswer:
    """Answer, as long as the process can."""
    return HealthAnswer(request_id=request_id(request.scope), status="ok")


@watching.get(
    "/readyz", summary="May requests be sent here?", responses={503: {**documented()[503], "model": ReadyAnswer}}
)
async def ready(request: Request, response: Response, service: TheService) -> ReadyAnswer:
    """Say whether requests may be sent here: not before everything stored is known again, nor while stopping."""
    fine = service.phase == "ready"
    if not fine:
        response.status_code = 503
        response.headers["Retry-After"] = "1"
    return ReadyAnswer(request_id=request_id(request.scope), ready=fine, state=service.phase)


@reading.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def metrics(service: TheService) -> Response:
    """Give figures in Prometheus' text format."""
    return Response(await service.call(service.metrics.page, kind="reads"), media_type=CONTENT_TYPE)


@reading.get("/v1/status", summary="Figures of the engine")
async def status(request: Request, service: TheService) -> StatusAnswer:
    """Describe the engine: its models with what came of their answers, its memory, its queue."""
    engine = service.engine
    return _status(await service.call(engine.status, kind="reads"), request)


@changing.post("/v1/models/activate", summary="Change the model that answers")
async def activate(request: Request, body: ActivateIn, service: TheService) -> StatusAnswer:
    """Load a run beside the active one and switch to it, without dropping a request.

    With `split`, it answers that share of users (each user always the same model) and the active one the others.
    """
    engine = service.engine
    run = _run_folder(body.run, service)
    return _status(await service.call(lambda: engine.activate(run, split=body.split), kind="models"), request)


def _run_folder(name: str, service: Service) -> Path:
    """Find a run by name inside the folder that the settings allow.

    Raises
    ------
    RunNotFound
        If there is none.
    """
    home = (service.settings.runs or Path()).resolve()
    try:
        run = (home / name).resolve()
        found = run.is_relative_to(home) and run.is_dir()
    except OSError:  # a name that no file can have
        run, found = home, False
    if not found:
        raise RunNotFound(
            "no such run",
            got=repr(name),
            expected="a run in the folder of the setting runs",
            do="check name and setting",
        )
    return run


def _status(status: Status, request: Request) -> StatusAnswer:
    figures = asdict(status)
    arms = [ArmOut(**arm) for arm in figures.pop("arms")]
    return StatusAnswer(request_id=request_id(request.scope), arms=arms, **figures)
