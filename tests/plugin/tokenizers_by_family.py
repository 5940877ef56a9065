"""Small tokenizers built as those of well-known families, special tokens and chat templates included.

Byte-level families cut a text into words before they look at its bytes; the others write each space as a mark, the
beginning of a text too (`prepend`: by a normaliser; `first`: by a pre-tokenizer) or not (`plain`), and spell what they
do not know in bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

Kind = Literal["bytes", "prepend", "first", "plain"]
MARKED: Final[tuple[Kind, ...]] = ("prepend", "first", "plain")
_MARK: Final = "▁"
_BYTES: Final = tuple(f"<0x{byte:02X}>" for byte in range(256))


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of the tokenizer of a family.

    Parameters
    ----------
    kind
        How it cuts texts.
    special
        Its special tokens, that which begins a text first.
    template
        Its chat template, in Jinja.
    opens
        Whether it writes the first special token before every text.
    """

    kind: Kind
    special: tuple[str, ...]
    template: str = ""
    opens: bool = True


CHATS: Final = {
    "qwen2": Family(
        "bytes",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        opens=False,
    ),
    "qwen3": Family(
        "bytes",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"),
        "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
        "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
        "{%- endif %}",
        opens=False,
    ),
    "llama3": Family(
        "bytes",
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "{{- bos_token }}{%- if not date_string is defined %}{%- set date_string = '26 Jul 2024' %}{%- endif %}"
        "{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
        "{{- 'Cutting Knowledge Date: December 2023\nToday Date: ' + date_string + '\n\n<|eot_id|>' }}"
        "{%- for m in messages %}{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
        "{{- m['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}",
    ),
    "gemma": Family(
        "plain",
        ("<bos>", "<start_of_turn>", "<end_of_turn>"),
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
        "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    ),
    "mistral": Family(
        "prepend",
        ("<s>", "</s>"),
        "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must take turns') }}{% endif %}{% if m['role'] == 'user' %}"
        "{{ '[INST] ' + m['content'] + ' [/INST]' }}{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}",
    ),
    "mistral-v3": Family(
        "first",
        ("<s>", "</s>", "[INST]", "[/INST]"),
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
        "{{ '[INST] ' + m['content'] + '[/INST]' }}{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}"
        "{% endfor %}",
    ),
}
"""Templates in the shape that instruct models of these families bring with them."""


def tokenizer_of(family: Family, texts: Sequence[str], *, size: int = 700) -> PreTrainedTokenizerFast:
    """Train a small tokenizer of a family on texts; every byte can be written."""
    backend = _byte_level(family, texts, size) if family.kind == "bytes" else _marked(family, texts, size)
    if family.opens:
        begin = family.special[0]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, backend.token_to_id(begin))]
        )
    named = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=family.special[0], eos_token=family.special[-1],
    )  # fmt: skip
    named.chat_template = family.template or None
    return named


def _byte_level(family: Family, texts: Sequence[str], size: int) -> Tokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*family.special], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    backend.train_from_iterator([*texts] * 2, trainer)
    return backend


def _marked(family: Family, texts: Sequence[str], size: int) -> Tokenizer:
    """Learn merges word by word, as SentencePiece does, and cut texts as the family's files say."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    lines = [line for text in texts for line in text.split("\n")]
    learner.train_from_iterator(lines * 2, trainers.BpeTrainer(vocab_size=size, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    pieces = dict.fromkeys(["<unk>", *family.special, *_BYTES, *sorted(learned["vocab"], key=learned["vocab"].get)])
    numbers = {piece: number for number, piece in enumerate(pieces)}
    merges = [tuple(merge) for merge in learned["merges"]]
    unknown = next(iter(pieces))
    backend = Tokenizer(models.BPE(numbers, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    back: list[Any] = [decoders.Replace(_MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    if family.kind == "prepend":
        backend.normalizer = normalizers.Sequence([normalizers.Prepend(_MARK), normalizers.Replace(" ", _MARK)])
        back.append(decoders.Strip(" ", 1, 0))
    elif family.kind == "first":
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        back.append(decoders.Strip(" ", 1, 0))
    else:
        backend.normalizer = normalizers.Replace(" ", _MARK)
        backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    backend.decoder = decoders.Sequence(back)
    backend.add_special_tokens([*family.special])
    return backend
