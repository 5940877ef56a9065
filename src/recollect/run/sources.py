"""What a recipe only names: the models that it reads from folders of this machine, as a digest of their files.

It decides that a name of the model hub speaks for itself, with its revision; that the weights, settings and vocabulary
of a folder count, and those of the base if the folder holds an adapter; and that a file is hashed again only after it
was written again.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast

from recollect.model.load_failures import loading
from recollect.model.settings import PretrainedBackbone
from recollect.recipe import Recipe

_BUILT_IN: Final = ("ngrams", "backbone")
_READ: Final = frozenset({".safetensors", ".bin", ".json", ".model", ".txt", ".jinja"})
_ADAPTER: Final = "adapter_config.json"


def digest_of_sources(recipe: Recipe) -> str:
    """Return the SHA-256 of the files of a recipe's local models, as hexadecimal text; empty if it names none.

    Raises
    ------
    RecollectError
        If a file cannot be read.
    """
    names = [recipe.backbone.name] if isinstance(recipe.backbone, PretrainedBackbone) else []
    names += [] if recipe.vectors.text in _BUILT_IN else [recipe.vectors.text]
    folders = [Path(name).expanduser() for name in names]
    return " ".join(_digest_of_folder(folder) for folder in folders if folder.is_dir())


def _digest_of_folder(folder: Path) -> str:
    sha = hashlib.sha256()
    with loading(str(folder)):
        for file in sorted(folder.iterdir()):
            if file.suffix in _READ and file.is_file():
                facts = file.stat()
                digest = _digest_of_file(file.resolve(), facts.st_ino, facts.st_size, facts.st_mtime_ns)
                sha.update(f"{file.name} {digest} ".encode())
        base = _base(folder)
    if base.is_dir() and not base.samefile(folder):
        sha.update(_digest_of_folder(base).encode())
    return sha.hexdigest()


@lru_cache(maxsize=256)
def _digest_of_file(file: Path, *_written: int) -> str:
    """Hash a file piece by piece; what the system says of it tells whether it was written since."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _base(folder: Path) -> Path:
    """Return what the adapter in a folder stands on, or the folder itself if it holds none."""
    card = folder / _ADAPTER
    if not card.is_file():
        return folder
    known = cast(dict[str, Any], json.loads(card.read_text(encoding="utf-8")))
    return Path(known.get("base_model_name_or_path") or folder)
