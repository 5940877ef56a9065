"""Golden files: texts kept beside a test, written anew where `RECOLLECT_GOLDEN` is set."""

import os
from pathlib import Path


def golden(path: Path, text: str) -> str:
    """Give the text that the file holds; write the file first if that is asked for."""
    if os.environ.get("RECOLLECT_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")
