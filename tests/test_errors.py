"""Every error means something outside, says four things, and foreign errors become ours."""

import errno
import re

import pytest

from recollect import errors
from recollect.errors import BadRow, DiskFull, Interrupted, RecollectError, SourceNotFound, meaning, translate

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RecollectError)]


def build(kind: type[RecollectError]) -> RecollectError:
    more = {"line": 7} if issubclass(kind, BadRow) else {}
    return kind("a fault", got="this", expected="that", do="mend it", **more)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_error_says_what_got_expected_do(kind):
    assert str(build(kind)) == "a fault; got this; expected that; mend it"


@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.__name__)
def test_tree_at_the_top_of_the_file_is_the_table(kind):
    drawn = re.search(rf"── {kind.__name__} +(\d+) +(\d+)", errors.__doc__ or "")
    assert drawn is not None
    assert meaning(build(kind)) == (int(drawn[1]), int(drawn[2]))


@pytest.mark.parametrize(
    ("foreign", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFull),
        (RuntimeError("parquet: No space left on device (os error 28)"), DiskFull),
        (FileNotFoundError(errno.ENOENT, "No such file", "x.csv"), SourceNotFound),
        (PermissionError(errno.EACCES, "Permission denied", "x"), errors.SystemFailure),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x"), errors.UsageError),
        (OSError(errno.EIO, "Input/output error"), errors.SystemFailure),
        (UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid"), errors.DataError),
        (MemoryError(), errors.SystemFailure),
        (ModuleNotFoundError("No module named 'sklearn.svm'", name="sklearn.svm"), errors.SystemFailure),
        (KeyboardInterrupt(), Interrupted),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_foreign_errors_become_ours(foreign, kind):
    assert type(translate(foreign)) is kind


def test_a_fault_of_the_program_is_not_hidden():
    assert translate(ZeroDivisionError()) is None
    ours = build(BadRow)
    assert translate(ours) is ours


def test_a_missing_package_is_told_by_the_name_under_which_it_is_installed():
    missing = ModuleNotFoundError("No module named 'sklearn'", name="sklearn.svm")
    assert "pip install --upgrade scikit-learn`" in str(translate(missing))


@pytest.mark.parametrize("name", [None, "recollect.rank.nowhere"])
def test_a_wrong_import_of_our_own_is_a_fault_of_the_program(name):
    assert translate(ImportError("cannot import name 'x'", name=name)) is None


def test_long_values_are_cut():
    assert len(RecollectError("a", got="x" * 1000, expected="b", do="c").got) == 200


def test_a_full_disk_is_told_with_its_path():
    full = OSError(errno.ENOSPC, "No space left on device", "out.parquet")
    assert "out.parquet" in str(translate(full))
