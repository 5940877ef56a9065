"""What every test shares: array shapes checked while running, and the real logs where a machine has them.

The import hook below makes each `recollect` function check its arguments and results against its annotations
(`plugin/runtime_types.py`). It must stand before the first import of the package.
"""

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from runtime_types import check_package

os.environ.setdefault("OMP_NUM_THREADS", "1")  # models in tests are too small to share; read when torch is loaded
check_package("recollect")

hypothesis.settings.register_profile("check", deadline=None, max_examples=50, derandomize=True, database=None)
hypothesis.settings.load_profile("check")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real logs: RECOLLECT_DATA, else `../shared/data` beside the checkout; skips where there is none."""
    folder = Path(os.environ.get("RECOLLECT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("needs the real logs: set RECOLLECT_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def real_log(data_folder: Path) -> Callable[[str], Path]:
    """Give the folder of one real log by name, such as "ml-1m"; skips where it is missing."""

    def find(name: str) -> Path:
        if not (data_folder / name).is_dir():
            pytest.skip(f"needs the real log {name!r} in the folder that RECOLLECT_DATA names")
        return data_folder / name

    return find
