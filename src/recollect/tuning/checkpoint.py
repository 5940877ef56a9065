"""Checkpoints: what a stopped tuning needs to go on as if it had not been stopped.

It decides that a checkpoint stands beside the run folder (`.NAME.tuning`), is written aside and renamed, belongs to
one task (recipe, seed, data, local models, split; a fingerprint says which) and disappears when the run is written.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recollect.errors import SystemFailure, translate


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """Save and load the state of one tuning task.

    Parameters
    ----------
    file : Path
        Where it stands.
    fingerprint : str
        Of the task; a checkpoint of another task is not loaded.
    """

    file: Path
    fingerprint: str

    @classmethod
    def beside(cls, run: Path, *, fingerprint: str) -> CheckpointFile:
        """Name the checkpoint of a run folder."""
        return cls(run.with_name(f".{run.name}.tuning"), fingerprint)

    def save(self, state: dict[str, Any]) -> None:
        """Write the state: aside first, then renamed.

        Raises
        ------
        DiskFull, SystemFailure
            If it cannot be written; the checkpoint before stays.
        """
        aside = self.file.with_name(self.file.name + ".part")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            torch.save({"fingerprint": self.fingerprint, "state": state}, aside)
            aside.replace(self.file)
        except (OSError, RuntimeError) as error:  # torch tells a failed write as a RuntimeError
            raise translate(error) or SystemFailure(
                "the checkpoint could not be written",
                got=error,
                expected="a place to write",
                do="look at the disk, then run the command again",
            ) from error
        finally:
            aside.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """Read the state, or None if there is none, it is damaged, or it belongs to another task."""
        try:
            stored = torch.load(self.file, weights_only=True)
        except (FileNotFoundError, RuntimeError, EOFError, pickle.UnpicklingError):
            return None
        return stored["state"] if stored["fingerprint"] == self.fingerprint else None

    def remove(self) -> None:
        """Delete the checkpoint."""
        self.file.unlink(missing_ok=True)
