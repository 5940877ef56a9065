"""`recollect keys`: who may call the live service, and what for."""

import time
from typing import Annotated, Final

import typer

from recollect.cli.moment import format_time
from recollect.cli.options import AsJson
from recollect.cli.output import say, show, show_json, show_table
from recollect.cli.store import DEFAULT_STORE, StoreUrl

HELP: Final = "Make, list and revoke API keys of the live service; a running service knows at once."

EXAMPLES: Final = {
    "add": """Examples:

recollect keys add shop --scope read --scope write

recollect keys add operator --scope admin --json""",
    "list": """Examples:

recollect keys list

recollect keys list --json""",
    "revoke": """Examples:

recollect keys revoke 1f2e3d4c""",
}


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it, such as who uses it.")],
    *,
    scope: Annotated[
        list[str], typer.Option("--scope", metavar="S", help="read, write or admin (all); may be given again.")
    ],
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: the store keeps only what recognises it."""
    from recollect.service.keys import add
    from recollect.service.store import Store

    with Store.open(store) as opened:
        made = add(opened, name, scopes=scope, now=int(time.time()))
    if as_json:
        show_json({"id": made.key.id, "name": name, "scopes": sorted(made.key.scopes), "key": made.secret})
    else:
        say(f"key {made.key.id} for {', '.join(sorted(made.key.scopes))}; keep it, it is not shown again")
        show(made.secret)


def list_keys(*, store: StoreUrl = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """List all keys, revoked ones too; without their secrets, which nobody has."""
    from recollect.service.keys import list_keys
    from recollect.service.store import Store

    with Store.open(store, create=False) as opened:
        found = list_keys(opened)
    if as_json:
        names = ("id", "name", "scopes", "created", "revoked")
        rows = [(key.id, key.name, sorted(key.scopes), key.created, key.revoked) for key in found]
        show_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        rows = [(key.id, key.name, ", ".join(sorted(key.scopes)), _state(key.created, key.revoked)) for key in found]
        show_table(rows) if rows else say("no keys; make one with `recollect keys add`")


def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `recollect keys list` shows it.")],
    *,
    store: StoreUrl = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Take a key's validity, from now on."""
    from recollect.service.keys import revoke
    from recollect.service.store import Store

    with Store.open(store, create=False) as opened:
        found = revoke(opened, key, now=int(time.time()))
    if as_json:
        show_json({"id": found.id, "name": found.name, "revoked": found.revoked})
    else:
        show_table([(found.id, found.name, _state(found.created, found.revoked))])


def _state(created: int, revoked: int | None) -> str:
    return f"made {format_time(created)}" if revoked is None else f"revoked {format_time(revoked)}"
