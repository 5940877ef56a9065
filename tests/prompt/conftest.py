"""What tests of the prompt room share."""

import pytest
import runtime_types


@pytest.fixture
def as_users_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the array checks of the test run, so that what a user meets are our own."""
    monkeypatch.setattr(runtime_types, "checking", False)
