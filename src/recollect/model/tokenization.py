"""From the tokenizer of a language model to the vocabulary of the prompt room.

What it decides: the vocabulary holds a copy of the tokenizer, so that neither changes under the other's hands. A prompt
opens with the token that begins a text if the tokenizer itself would write it. What a chat template puts around a
message is found by rendering one message and cutting it out again; the date is fixed and a wish to think aloud is
declined, so that a prompt reads the same tomorrow and the answer is the next word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from jinja2 import TemplateError
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from recollect.errors import ModelError
from recollect.prompt.vocabulary import ChatFrame, Vocabulary

__all__ = ["vocabulary_of"]

_TEXT: Final = "a"
_MARKER: Final = "THE-MESSAGE-STANDS-HERE"
_TEMPLATE_OPTIONS: Final = {"enable_thinking": False, "date_string": "1 Jan 2025"}


def vocabulary_of(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """Make the vocabulary of a language model's tokenizer.

    Parameters
    ----------
    tokenizer
        One of the `tokenizers` library ("fast").

    Raises
    ------
    ModelError
        If it is of another kind.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            "a tokenizer of a kind that recollect does not read",
            got=f"{type(tokenizer).__name__} of {tokenizer.name_or_path}",
            expected="a model folder with tokenizer.json (a fast tokenizer)",
            do="choose another model, or convert the tokenizer with transformers and save it beside the model",
        )
    backend = cast(Tokenizer, cast(Any, tokenizer).backend_tokenizer)
    return Vocabulary(
        tokenizer=Tokenizer.from_str(backend.to_str()),
        opening=_opening(tokenizer),
        frame=_frame(tokenizer),
        anchor=_TEXT,
    )


def _opening(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the token that the tokenizer writes before every text, if it does."""
    begin = cast(int | None, tokenizer.bos_token_id)
    ids = cast(list[int], tokenizer(_TEXT)["input_ids"])
    return (begin,) if begin is not None and ids[:1] == [begin] else ()


def _frame(tokenizer: PreTrainedTokenizerBase) -> ChatFrame | None:
    """Cut the message out of a rendered chat; the opening token is left to the vocabulary's opening."""
    if not tokenizer.chat_template:
        return None
    message = [{"role": "user", "content": _MARKER}]
    render = cast(Callable[..., str], tokenizer.apply_chat_template)  # what a template reads is up to the template
    try:
        text = render(message, add_generation_prompt=True, tokenize=False, **_TEMPLATE_OPTIONS)
    except TemplateError:  # a template that needs more than one message is none for us
        return None
    before, found, after = text.partition(_MARKER)
    if not found or _MARKER in after:
        return None
    begin = cast(str | None, tokenizer.bos_token)
    return ChatFrame(before.removeprefix(begin) if begin and _opening(tokenizer) else before, after)
