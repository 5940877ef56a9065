"""Places for stores: an SQLite file, or a schema of a real PostgreSQL server that is started for it.

It decides that the server syncs as it does by default, since what it acknowledges counts; and that it runs as another
user where we are root, since PostgreSQL refuses that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from recollect.errors import SystemFailure

KINDS: Final = ("sqlite", "postgresql")
_SERVER_USER: Final = "postgres"


@contextmanager
def store_place(kind: str, folder: Path) -> Generator[str]:
    """Give the URL of an empty place of a kind, until the block ends.

    Raises
    ------
    SystemFailure
        If there is no PostgreSQL, or it cannot be started.
    """
    if kind == "sqlite":
        yield f"sqlite:///{Path(tempfile.mkdtemp(dir=folder)) / 'store.db'}"
        return
    programs = _programs()
    place = Path(tempfile.mkdtemp(prefix="recollect-pg-"))  # short: the path of a socket has 107 characters at most
    try:
        if os.geteuid() == 0:
            shutil.chown(place, _SERVER_USER)
        _run(programs / "initdb", "-D", place / "data", "--username=recollect", "--auth=trust", "--encoding=UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories={place}"
        _run(programs / "pg_ctl", "-D", place / "data", "-l", place / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql+psycopg://recollect@/postgres?host={place}"
        finally:
            _run(programs / "pg_ctl", "-D", place / "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _programs() -> Path:
    """Find the folder of PostgreSQL's programs: the newest of Debian's, else that of the path.

    Raises
    ------
    SystemFailure
        If there is none.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    if found is None:
        raise SystemFailure(
            "no PostgreSQL", got="no initdb", expected="its server programs", do="apt-get install postgresql"
        )
    return Path(found).resolve().parent


def _run(*command: object) -> None:
    """Run a program of PostgreSQL.

    Raises
    ------
    SystemFailure
        If it fails.
    """
    other = ["runuser", "-u", _SERVER_USER, "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryFile("w+") as log:  # a server keeps the streams it was given, so a pipe would never end
        done = subprocess.run([*other, *map(str, command)], stdout=log, stderr=log, check=False, cwd="/")
        log.seek(0)
        if done.returncode:
            raise SystemFailure("PostgreSQL fails", got=log.read(), expected="a server", do="read what it says")
