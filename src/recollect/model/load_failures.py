"""Why a model could not be loaded, in our words.

What it is: a table from the exceptions of `transformers` and the model hub to errors that say what to do.

What it decides: the innermost cause speaks, since the libraries wrap it several times; what the table does not hold is
shown with the library's own words.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from huggingface_hub import errors as hub
from safetensors import SafetensorError

from recollect.errors import ModelError, RecollectError, translate

__all__ = ["explain", "loading"]

_LOAD_ERRORS: Final = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


class _Case(NamedTuple):
    kinds: tuple[type[BaseException], ...]
    says: str  # part of the message; empty for any
    what: str
    expected: str
    do: str


_NAME: Final = "a folder, or a name such as Qwen/Qwen3-0.6B"
_CASES: Final = (
    _Case(
        (hub.GatedRepoError,),
        "",
        "a model whose owner must agree first",
        "a model that anyone may load, or a token with that right",
        "ask for access on the model's page and log in with `hf auth login`, or choose another model",
    ),
    _Case(
        (hub.RevisionNotFoundError,),
        "",
        "a revision that the model does not have",
        "a branch, a tag or a commit of the model",
        "set backbone.revision to one of them, or leave it out",
    ),
    _Case(
        (hub.RepositoryNotFoundError, hub.HFValidationError),
        "",
        "a name that is neither a folder nor a model",
        _NAME,
        "check the spelling of backbone.name; a folder must exist",
    ),
    _Case(
        (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled, ConnectionError),
        "",
        "a model that is not on this machine, and the model hub cannot be reached",
        "a folder, a model that was loaded before, or a connection",
        "connect this machine, or download the model elsewhere and give its folder as backbone.name",
    ),
    _Case(
        (ValueError,),
        "Unrecognized configuration class",
        "a model that does not write text from left to right",
        "a causal language model, such as Llama, Qwen3, Mistral, Gemma, GPT-2, GPT-NeoX or Phi",
        "choose a decoder; a sentence encoder can give item vectors instead (vectors.text)",
    ),
    _Case(
        (ValueError,),
        "does not recognize this architecture",
        "a model family that the installed transformers does not know",
        "a family of transformers",
        "run `python -m pip install --upgrade transformers`, or choose another model",
    ),
    _Case(
        (ValueError,),
        "trust_remote_code",
        "a model that brings code of its own",
        "a family of transformers, since code from a model is never run",
        "choose another model",
    ),
)


@contextmanager
def loading(name: str) -> Generator[None]:
    """Load a model or a tokenizer inside, and let what goes wrong be said in our words.

    Parameters
    ----------
    name
        The folder or the name that was asked for.

    Raises
    ------
    RecollectError
        If it cannot be loaded.
    """
    try:
        yield
    except _LOAD_ERRORS as error:
        explained = explain(error, name=name)
        raise explained from error


def explain(error: Exception, *, name: str) -> RecollectError:
    """Say why a model could not be loaded.

    Parameters
    ----------
    error
        What the library raised.
    name
        The folder or the name that was asked for.
    """
    chain = list(_causes(error))
    for case in _CASES:
        if any(isinstance(one, case.kinds) and case.says in str(one) for one in chain):
            return ModelError(case.what, got=name, expected=case.expected, do=case.do)
    if isinstance(error, OSError) and error.errno is not None:  # the system's word: rights, devices
        known = translate(error)
        if known is not None:
            return known
    return ModelError(
        f"{name} cannot be loaded",
        got=f"{type(error).__name__}: {error}",
        expected=f"a causal language model of transformers with its tokenizer: {_NAME}",
        do="check that the folder is whole, or that the name is right",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """List an exception and what it came from, innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
