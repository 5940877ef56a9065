"""Every error that recollect raises on purpose, and what each one means outside.

    RecollectError                    exit  HTTP
    ├── UsageError                       2   400   an option, an expression or a call that makes no sense
    ├── DataError                        3   422   the data given cannot be used
    │   ├── SourceNotFound               3   404   no such file or folder
    │   ├── UnknownFormat                3   415   the content is in no format that we read
    │   ├── UnknownColumn                3   422   a needed column is missing
    │   ├── BadRow                       3   422   one row cannot be used (carries its line number)
    │   ├── UnknownUser                  3   404   a user that the data do not hold
    │   ├── UnknownItem                  3   404   an item that the catalog does not hold
    │   ├── UnknownRequest               3   404   a request that was never answered, or is forgotten by now
    │   ├── Conflict                     3   409   an id that is taken, with other content
    │   ├── DatasetVersion               3   409   a data folder written by another version
    │   └── LeakError                    3   500   something of the query's instant or later would be shown
    ├── ModelError                       4   500   the model cannot do what was asked
    │   ├── PromptError                  4   500   a prompt tree that contradicts itself
    │   ├── RunNotFound                  4   404   no run in that folder, or half of one
    │   └── RunVersion                   4   409   a run folder written by another version
    └── SystemFailure                    5   503   the machine under us: memory, rights, packages
        ├── DiskFull                     5   507   no space left
        ├── Overloaded                   5   429   more is asked at once than can be answered in time
        └── Interrupted                  5   503   stopped from outside

It decides that a message always says four things: *what* is wrong, what was *got*, what was *expected*, and what
to *do* next. Errors of Python and of libraries become one of these at the two outer edges (command line and HTTP),
by `translate`; nothing in between catches broadly.
"""

from __future__ import annotations

import errno
from typing import NamedTuple


class RecollectError(Exception):
    """Say what is wrong, what was got, what was expected and what to do.

    Parameters
    ----------
    what : str
        The fault, in a few words.
    got : object
        What we found instead; shown as text, long values cut.
    expected : str
        What would have been right.
    do : str
        The next step for the reader.
    """

    def __init__(self, what: str, *, got: object, expected: str, do: str) -> None:
        self.what = what
        self.got = _short(got)
        self.expected = expected
        self.do = do
        super().__init__(f"{what}; got {self.got}; expected {expected}; {do}")


class UsageError(RecollectError):
    """An option, an expression or a call makes no sense."""


class DataError(RecollectError):
    """The data given cannot be used."""


class SourceNotFound(DataError):
    """There is no such file or folder."""


class UnknownFormat(DataError):
    """The content is in no format that we read."""


class UnknownColumn(DataError):
    """A needed column is missing."""


class BadRow(DataError):
    """One row cannot be used; `line` is its number in the file, from 1.

    Parameters
    ----------
    what, got, expected, do
        As in `RecollectError`.
    line : int
        Line of the file, from 1.
    """

    def __init__(self, what: str, *, line: int, got: object, expected: str, do: str) -> None:
        self.line = line
        super().__init__(what, got=got, expected=expected, do=do)


class UnknownUser(DataError):
    """The data hold no such user."""


class UnknownItem(DataError):
    """The catalog holds no such item."""


class UnknownRequest(DataError):
    """No such request was answered, or it is forgotten by now."""


class Conflict(DataError):
    """Something of that id is there already, with other content."""


class DatasetVersion(DataError):
    """A data folder was written by another version."""


class LeakError(DataError):
    """Something of the query's own instant, or later, would be shown to the model."""


class ModelError(RecollectError):
    """The model cannot do what was asked."""


class PromptError(ModelError):
    """A prompt tree contradicts itself."""


class RunNotFound(ModelError):
    """There is no run in that folder, or only a part of one."""


class RunVersion(ModelError):
    """A run folder was written by another version."""


class SystemFailure(RecollectError):
    """The machine under us failed: memory, rights, devices, packages."""


class DiskFull(SystemFailure):
    """No space is left."""


class Overloaded(SystemFailure):
    """More is asked at once than can be answered in time."""


class Interrupted(SystemFailure):
    """The work was stopped from outside."""


class Meaning(NamedTuple):
    """What an error is to the world outside: an exit code and an HTTP status."""

    exit_code: int
    http_status: int


# A class that is not named here means what its nearest named ancestor means.
MEANINGS: dict[type[RecollectError], Meaning] = {
    RecollectError: Meaning(5, 500),
    UsageError: Meaning(2, 400),
    DataError: Meaning(3, 422),
    SourceNotFound: Meaning(3, 404),
    UnknownFormat: Meaning(3, 415),
    UnknownUser: Meaning(3, 404),
    UnknownItem: Meaning(3, 404),
    UnknownRequest: Meaning(3, 404),
    Conflict: Meaning(3, 409),
    DatasetVersion: Meaning(3, 409),
    LeakError: Meaning(3, 500),
    ModelError: Meaning(4, 500),
    RunNotFound: Meaning(4, 404),
    RunVersion: Meaning(4, 409),
    SystemFailure: Meaning(5, 503),
    DiskFull: Meaning(5, 507),
    Overloaded: Meaning(5, 429),
}


# Packages whose name is not that of their module.
_PACKAGES = {"sklearn": "scikit-learn"}


def meaning(error: RecollectError) -> Meaning:
    """Look up the exit code and the HTTP status of an error.

    Examples
    --------
    >>> meaning(BadRow("a row", line=3, got="x", expected="y", do="z")).exit_code
    3
    """
    return next(MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)


def translate(error: BaseException) -> RecollectError | None:
    """Say a foreign error in our words.

    Parameters
    ----------
    error : BaseException
        Anything that was caught at an outer edge.

    Returns
    -------
    RecollectError or None
        The error itself if it is ours, its counterpart if we know one, None for a fault of the program,
        which should then be shown with its traceback.
    """
    if isinstance(error, RecollectError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(
            "interrupted", got="a stop from outside", expected="to run to the end", do="run the command again"
        )
    if _is_full_disk(error):
        return DiskFull(
            "no space left on the disk",
            got=getattr(error, "filename", None) or error,
            expected="room for the output",
            do="free some space or write to another disk; nothing half-written was kept",
        )
    if isinstance(error, UnicodeDecodeError):
        return DataError(
            "text in another encoding",
            got=f"byte 0x{error.object[error.start]:02x} at {error.start}",
            expected=error.encoding,
            do="save the file as UTF-8",
        )
    if isinstance(error, MemoryError):
        return SystemFailure(
            "out of memory",
            got=str(error) or "MemoryError",
            expected="room in memory",
            do="free memory or take less data",
        )
    if isinstance(error, ImportError):
        return _translate_import(error)
    return _translate_os(error) if isinstance(error, OSError) else None


def _translate_import(error: ImportError) -> SystemFailure | None:
    module = (error.name or "").partition(".")[0]
    if module in {"", __package__}:
        return None
    package = _PACKAGES.get(module, module)
    return SystemFailure(
        f"the package {package} cannot be loaded",
        got=error,
        expected=f"{package}, in a version that recollect works with",
        do=f"run `python -m pip install --upgrade {package}`; `recollect doctor` shows what else is missing",
    )


def _translate_os(error: OSError) -> RecollectError:
    got = error.filename or error
    if isinstance(error, FileNotFoundError):
        return SourceNotFound("no such file or folder", got=got, expected="an existing path", do="check the path")
    if isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
        return UsageError(
            error.strerror or "a wrong kind of path", got=got, expected="the other kind", do="check the path"
        )
    if isinstance(error, PermissionError):
        return SystemFailure("not allowed", got=got, expected="the right to use it", do="check owner and rights")
    return SystemFailure(
        "the system refused",
        got=error,
        expected="the operation to work",
        do="look at the disk and the device, then retry",
    )


def _is_full_disk(error: BaseException) -> bool:
    # polars wraps the system's error in its own class and keeps only the text.
    full = {errno.ENOSPC, errno.EDQUOT}
    return (isinstance(error, OSError) and error.errno in full) or "no space left on device" in str(error).lower()


def _short(value: object, width: int = 200) -> str:
    text = str(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"
