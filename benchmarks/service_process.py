"""A service as a process of its own: `recollect serve`, watched from outside.

It decides that the process is asked as anybody asks it, over HTTP, and that its memory and its processor time are
those that Linux tells of it. The limit of requests per second is off: all of them come from one address here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.service_job import Job
from recollect.client import Client
from recollect.errors import SystemFailure

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_START: Final = {"RECOLLECT_RATE": "0", "RECOLLECT_LOG_LEVEL": "warning"}


class ServiceProcess:
    """Start a service, and wait until it is ready. Left by `with`, it is told to stop.

    Parameters
    ----------
    job : Job
        Run, data, and the folder for its log.
    store : str
        URL of its store.
    **settings
        As in the environment, without `RECOLLECT_`: `engine__queue=8`.

    Raises
    ------
    SystemFailure
        If it does not become ready.
    """

    def __init__(self, job: Job, *, store: str, **settings: Any) -> None:
        self.log = job.folder / "service.log"
        command = [sys.executable, "-m", "recollect", "serve", str(job.run), str(job.data)]
        given = {f"RECOLLECT_{name.upper()}": str(value) for name, value in settings.items()}
        with self.log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*command, "--port", "0", "--store", store],
                env={**os.environ, **_START, **given}, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self.url = self._line().split()[2].rstrip(",")
        self._line()  # that it is ready

    def kill(self) -> None:
        """End it at once, as if the power of the process were cut (SIGKILL)."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """Tell it to stop, and return its exit status."""
        self.process.terminate()
        status = self.process.wait()
        self._close()
        return status

    def client(self, *, retries: int = 2) -> Client:
        """Make a client with a connection of its own."""
        return Client(self.url, timeout=120.0, retries=retries)

    @property
    def resident(self) -> int:
        """Bytes of its memory that are resident."""
        return int(self._proc("statm").split()[1]) * _PAGE

    @property
    def processor(self) -> float:
        """Seconds of processor time so far, of all its threads."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def __enter__(self) -> ServiceProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text(encoding="utf-8")

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _line(self) -> str:
        """Read what it says.

        Raises
        ------
        SystemFailure
            If it ends instead.
        """
        line = "" if self.process.stdout is None else self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise SystemFailure(
                "the service does not start",
                got=self.log.read_text(encoding="utf-8")[-300:] or f"status {self.process.returncode}",
                expected="a ready service",
                do=f"read {self.log}",
            )
        return line
