"""`recollect serve`: the HTTP API and its page over a tuned model, until it is stopped."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from recollect.cli.options import DataFolder, RunFolder, WayName
from recollect.cli.output import show

if TYPE_CHECKING:
    from recollect.service.settings import Settings

EXAMPLES: Final = """Examples:

recollect serve run data

recollect serve run data --host 0.0.0.0 --store postgresql+psycopg://recollect@db/recollect

RECOLLECT_ENGINE__TRUNK_BYTES=1000000000 recollect serve run data --config service.toml"""


def run(
    run_folder: RunFolder,
    data: DataFolder,
    *,
    host: Annotated[str | None, typer.Option("--host", metavar="H", help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Port, 0 for a free one [8000].")] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="Where events are kept \\[sqlite:///recollect.db]."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings as TOML; see docs/service.md.")
    ] = None,
    way: WayName = None,
) -> None:
    """Serve recommendations over HTTP: an event goes in, and the next answer knows it."""
    from recollect.service.settings import load_settings

    settings = load_settings(config, host=host, port=port, store=store, engine=None if way is None else {"way": way})
    if settings.runs is None:
        settings = settings.model_copy(update={"runs": run_folder.resolve().parent})
    _serve(run_folder, data, settings)


def _serve(run_folder: Path, data: Path, settings: "Settings") -> None:
    """Serve until a signal comes; an engine that cannot start is told like any other error."""
    from recollect.data.dataset import Dataset
    from recollect.service.engine import Engine
    from recollect.service.server import Server, address, listen
    from recollect.service.state import Service
    from recollect.service.store import Store

    dataset = Dataset.load(data)
    taken = listen(settings.host, settings.port)
    store = Store.open(settings.store)
    service = Service(
        lambda: Engine.start(run_folder.resolve(), dataset, store, settings=settings.engine),
        store=store,
        dataset=dataset,
        settings=settings,
    )
    _tell(f"recollect at {address(taken)}, loading {run_folder}")
    Server(service, run=run_folder, on_ready=lambda: _tell("ready; stop it with Ctrl-C")).run(sockets=[taken])
    if service.failure is not None:
        raise service.failure


def _tell(text: str) -> None:
    """Show a line at once, also where stdout is a pipe that somebody waits at."""
    show(text)
    sys.stdout.flush()
