"""`recollect store`: copies of what the live service holds, and whether it is whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from recollect.cli.options import AsJson
from recollect.cli.output import show_json, show_table
from recollect.errors import DataError

HELP: Final = "Back up, restore and check the store of the live service."

EXAMPLES: Final = {
    "backup": """Examples:

recollect store backup monday.backup

recollect store backup monday.backup --store postgresql://recollect@db/recollect""",
    "restore": """Examples:

recollect store restore monday.backup --store sqlite:///restored.db""",
    "check": """Examples:

recollect store check

recollect store check --store sqlite:///live.db --data data --json""",
}

StoreUrl = Annotated[
    str,
    typer.Option(
        "--store", metavar="URL", envvar="RECOLLECT_STORE", help="sqlite:///FILE or postgresql://USER@HOST/DATABASE."
    ),
]
DEFAULT_STORE: Final = "sqlite:///recollect.db"


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; a free place.")],
    *,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Write all that a store holds to one file, while the service may go on."""
    from recollect.service.backup import backup
    from recollect.service.store import Store

    with Store.open(store, create=False) as opened:
        rows = backup(opened, file)
    show_json({"file": str(file), "rows": dict(rows)}) if as_json else show_table(_counts(rows))


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Made by `recollect store backup`.")],
    *,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Write a backup into an empty place, a new file or an empty database of either kind."""
    from recollect.service.backup import restore

    rows = restore(file, store)
    show_json({"store": _shown(store), "rows": dict(rows)}) if as_json else show_table(_counts(rows))


def check(
    *,
    store: StoreUrl = DEFAULT_STORE,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DATA", help="Folder with the catalog, to count items that only events name."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look whether a store is whole; leaves with 3 if it is not."""
    from recollect.service.check import check
    from recollect.service.store import Store

    with Store.open(store, create=False) as opened:
        findings = check(opened, catalog=None if data is None else _items(data))
    if as_json:
        show_json([{"subject": one.subject, "fine": one.fine, "detail": one.detail} for one in findings])
    else:
        show_table([(one.subject, "fine" if one.fine else "NOT FINE", one.detail) for one in findings])
    _refuse_damaged(store, [one.subject for one in findings if not one.fine])


def _items(data: Path) -> frozenset[str]:
    from recollect.data.dataset import Dataset

    return frozenset(Dataset.load(data).catalog.ids)


def _refuse_damaged(store: str, faults: list[str]) -> None:
    """End with an error if a store is not whole.

    Raises
    ------
    DataError
        If there are faults.
    """
    if faults:
        raise DataError(
            "the store is not whole",
            got=f"{_shown(store)}: {', '.join(faults)}",
            expected="no fault",
            do="stop the service, keep this store aside, and restore a backup with `recollect store restore`",
        )


def _counts(rows: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in sorted(rows.items())]


def _shown(url: str) -> str:
    from recollect.service.database import read_url

    return read_url(url).render_as_string(hide_password=True)
