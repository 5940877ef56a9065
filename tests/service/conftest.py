"""Stores of both kinds: an SQLite file, and a database of a real PostgreSQL server.

The server is RECOLLECT_TEST_POSTGRES (a URL whose user may create schemas), else one of our own in a temporary
folder, reached by a socket. Without either the tests that need it skip; with RECOLLECT_REQUIRE_POSTGRES=1 they fail.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from recollect.service.store import NewEvent, Store

MakeUrl = Callable[[], str]

GIVEN = "RECOLLECT_TEST_POSTGRES"
KINDS = ("sqlite", "postgresql")
NOW = 1_700_000_000
SERVER_USER = "postgres"  # PostgreSQL refuses to run as root


def programs() -> Path | None:
    """Find the folder of PostgreSQL's programs: the newest of Debian's, else that of the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def as_server_user(*command: object) -> None:
    """Run a program of PostgreSQL, as another user if we are root; its output is shown only if it fails."""
    other = ["runuser", "-u", SERVER_USER, "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryFile("w+") as log:  # a server keeps the streams it was given, so a pipe would never end
        done = subprocess.run([*other, *map(str, command)], stdout=log, stderr=log, check=False, cwd="/")
        log.seek(0)
        assert done.returncode == 0, log.read()


def missing(reason: str) -> None:
    if os.environ.get("RECOLLECT_REQUIRE_POSTGRES") == "1":
        pytest.fail(f"RECOLLECT_REQUIRE_POSTGRES=1, but {reason}")
    pytest.skip(f"NO POSTGRESQL, HALF OF THE STORE IS NOT TESTED: {reason}; apt-get install postgresql")


@pytest.fixture(scope="session")
def postgres_server() -> Generator[str]:
    """Give the URL of a database on a real server."""
    if given := os.environ.get(GIVEN):
        yield make_url(given).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        return
    where = programs()
    if where is None:
        missing("there is no initdb")
        return
    folder = Path(tempfile.mkdtemp(prefix="recollect-pg-"))  # short: the path of a socket has 107 characters at most
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, SERVER_USER)
        data = folder / "data"
        initial = ("--username=recollect", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        as_server_user(where / "initdb", "-D", data, *initial)
        # No test takes the power away, so the server need not wait for the disk.
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=200"
        as_server_user(where / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql+psycopg://recollect@/postgres?host={folder}"
        finally:
            as_server_user(where / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def make_postgres_url(postgres_server: str) -> Generator[MakeUrl]:
    """Make an empty schema at each call, and the URL of a store in it, dropped at the end."""
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    names = (f"recollect_test_{os.getpid()}_{number}" for number in count())
    made: list[str] = []

    def make() -> str:
        made.append(next(names))
        with engine.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {made[-1]}"))
        query = {"options": f"-csearch_path={made[-1]}"}
        return make_url(postgres_server).update_query_dict(query).render_as_string(hide_password=False)

    try:
        yield make
    finally:
        if GIVEN in os.environ:  # a server of our own goes as a whole
            with engine.connect() as connection:
                for name in made:
                    connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()


@pytest.fixture
def make_url_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Make the URL of an empty place for a store of a kind."""
    numbers = count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / f'store-{next(numbers)}.db'}"
        return request.getfixturevalue("make_postgres_url")()

    return make


@pytest.fixture(params=KINDS)
def store_url(request: pytest.FixtureRequest, make_url_of: Callable[[str], str]) -> str:
    """Give the URL of an empty place, of each kind in turn."""
    return make_url_of(request.param)


@pytest.fixture
def store(store_url: str) -> Generator[Store]:
    """Give an empty store, of each kind in turn."""
    with Store.open(store_url) as opened:
        yield opened


@pytest.fixture
def add(store: Store) -> Callable[..., object]:
    """Append events to the store, each given as (id, user, item, value); 4 and more is a like."""

    def append(*events: tuple[str, str, str, float]) -> object:
        return store.append([NewEvent(*event) for event in events], liked=lambda value: value >= 4, now=NOW)

    return append
