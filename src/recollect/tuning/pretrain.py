"""Pretraining: a small language model from the texts and the log of a data folder.

What it makes: an ordinary `transformers` folder (config, safetensors, tokenizer) of a Llama-style decoder, which serves
as the language model where none can be downloaded.

It decides: the documents of `recollect.tuning.corpus`, packed end to end; the next token is learned everywhere; input
and output embeddings are tied; AdamW with decay on matrices only, a short warm-up and a cosine to a floor; checkpoints
as in tuning, so that a pretraining that was stopped ends like one that was not. It computes in float32 on the CPU.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Int32, Int64
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from recollect.data.aside import written_aside
from recollect.data.dataset import Dataset
from recollect.errors import UsageError
from recollect.model.backbone import load_backbone, save_backbone
from recollect.model.settings import PretrainedBackbone
from recollect.progress import SILENT, Progress
from recollect.tuning.checkpoint import CheckpointFile
from recollect.tuning.corpus import BEGIN, END, PAD, SPECIAL, Corpus, pack, train_tokenizer
from recollect.tuning.optimiser import clip_gradients, keep_freed_memory, make_optimizer
from recollect.tuning.pretrain_settings import PretrainSettings, PretrainShape

_CARD: Final = "pretrain.json"
_BETAS: Final = (0.9, 0.95)
_MEMORY: Final = 0.02  # share of a new step in the loss that is told

logging.disable_progress_bar()  # writing a small model is no news


@dataclass(frozen=True, slots=True)
class Pretrained:
    """Say what a pretraining came to: weights, tokens read, events it could read, and the last loss in nats."""

    weights: int
    tokens: int
    events: int
    loss: float


def pretrain(
    dataset: Dataset,
    *,
    out: Path,
    rows: Int64[np.ndarray, " K"],
    tokens: int,
    start: str | None = None,
    shape: PretrainShape | None = None,
    settings: PretrainSettings | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Pretrained:
    """Pretrain a decoder and its tokenizer, and write them as a `transformers` folder.

    Parameters
    ----------
    dataset : Dataset
        Log and catalog.
    out : Path
        The folder; a pretraining that was stopped before goes on.
    rows : Int64[K]
        Rows of the log that may be read, such as `told_rows` of a split.
    tokens : int
        How many to read, cut to whole rows of `settings.row_tokens`.
    start : str, optional
        Folder or name of a model to go on with, its tokenizer included; a new one by default.
    shape : PretrainShape, optional
        Size of a new decoder.
    settings : PretrainSettings, optional
        Corpus and optimiser.
    seed : int
        Of everything random.
    progress : Progress
        Is told the loss, averaged over about the last 50 steps.

    Raises
    ------
    UsageError
        If there are too few tokens for one row, or something else stands in the place of the folder.
    DataError
        If there are no rows.
    RecollectError
        If the folder cannot be written.
    """
    shape, settings = shape or PretrainShape(), settings or PretrainSettings()
    corpus = Corpus(dataset, rows, settings.mix)
    count = _row_count(tokens, settings)
    with written_aside(out, card=_CARD) as aside, torch.random.fork_rng(devices=[]):
        if start is None:
            sample = islice(corpus.documents(seed=seed + 1), settings.tokenizer_documents)
            tokenizer = _wrapped(train_tokenizer(sample, size=shape.vocabulary))
            torch.manual_seed(seed)
            model = _build(shape, vocabulary=len(tokenizer))
        else:
            loaded = load_backbone(PretrainedBackbone(name=start, dtype="float32"))
            tokenizer, model = loaded.tokenizer, loaded.causal
        packed = pack(corpus.documents(seed=seed), tokenizer, count=count, length=settings.row_tokens)
        checkpoint = CheckpointFile.beside(out, fingerprint=_fingerprint(model, packed, shape, settings, seed))
        loop = PretrainLoop(model, packed, settings=settings, checkpoint=checkpoint)
        made = Pretrained(model.num_parameters(), int(packed.size), len(rows), loop.run(progress=progress))
        save_backbone(model, tokenizer, aside)
        card = {
            **asdict(made),
            "read_until": int(dataset.log.time[rows[-1]]),
            "seed": seed,
            "start": start,
            "shape": shape.model_dump(),
            "settings": settings.model_dump(),
        }
        (aside / _CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    checkpoint.remove()
    return made


class PretrainLoop:
    """Read every row once, in the order given, and learn the next token everywhere.

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place.
    packed : Int32[R, T]
        Token ids.
    settings : PretrainSettings
        The optimiser.
    checkpoint : CheckpointFile
        Where the state is kept.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        packed: Int32[np.ndarray, "R T"],
        *,
        settings: PretrainSettings,
        checkpoint: CheckpointFile,
    ) -> None:
        self.model = model
        self.packed = packed
        self.settings = settings
        self.checkpoint = checkpoint
        self.optimizer = make_optimizer(
            model.parameters(), rate=settings.rate, betas=_BETAS, decay=settings.weight_decay
        )
        self.steps = math.ceil(len(packed) / settings.batch_rows)
        self.step = 0
        self.loss = math.nan

    def run(self, *, progress: Progress) -> float:
        """Learn to the end, from the start or from the checkpoint; return the loss of the last steps."""
        self._resume()
        keep_freed_memory()
        self.model.train()
        progress.start("pretraining", self.packed.size)
        saved = time.monotonic()
        while self.step < self.steps:
            self._step()
            progress.advance(self._tokens_read(), loss=self.loss)
            if time.monotonic() - saved > self.settings.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        self.model.eval()
        progress.finish(f"loss {self.loss:.4f}, perplexity {math.exp(self.loss):.2f}")
        return self.loss

    def _tokens_read(self) -> int:
        return self.packed[: self.step * self.settings.batch_rows].size

    def _step(self) -> None:
        """Take one step of the optimiser."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * self._schedule()
        first = self.step * self.settings.batch_rows
        batch = torch.from_numpy(self.packed[first : first + self.settings.batch_rows]).long()
        self.optimizer.zero_grad()
        loss = 0.0
        for row in batch:  # one by one: the logits of a whole batch are larger than the caches of a processor
            part = next_token_loss(self.model, row) / len(batch)
            part.backward()
            loss += part.item()
        clip_gradients(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1
        self.loss = loss if math.isnan(self.loss) else self.loss + max(_MEMORY, 1 / self.step) * (loss - self.loss)

    def _schedule(self) -> float:
        """Return the share of the full rate at this step: warm-up, then a cosine."""
        floor, warm = self.settings.floor, max(1.0, self.settings.warmup * self.steps)
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
        return min(1.0, (self.step + 1) / warm) * cosine

    def _save(self) -> None:
        learned = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        self.checkpoint.save({"step": self.step, "loss": self.loss, **learned})

    def _resume(self) -> None:
        stored = self.checkpoint.load()
        if stored is None:
            return
        self.step, self.loss = stored["step"], stored["loss"]
        self.model.load_state_dict(stored["model"])
        self.optimizer.load_state_dict(stored["optimizer"])


def next_token_loss(model: PreTrainedModel, row: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy, in nats, of every token of a row but the first, given those before it."""
    logits = model(input_ids=row[None], use_cache=False).logits[0]
    return cross_entropy(logits[:-1], row[1:])


def _row_count(tokens: int, settings: PretrainSettings) -> int:
    if tokens < settings.row_tokens:
        raise UsageError(
            "too few tokens to learn from",
            got=tokens,
            expected=f"{settings.row_tokens} or more",
            do="give more tokens; 8 million make a fair model of 5 million weights",
        )
    return tokens // settings.row_tokens


def _build(shape: PretrainShape, *, vocabulary: int) -> LlamaForCausalLM:
    """Make a decoder with random weights."""
    begin, end, pad = range(len(SPECIAL))
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=shape.positions,
        tie_word_embeddings=True,
        bos_token_id=begin,
        eos_token_id=end,
        pad_token_id=pad,
    )
    return LlamaForCausalLM(config)


def _wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerBase:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PAD)


def _fingerprint(model: PreTrainedModel, packed: np.ndarray, *settings: object) -> str:
    sha = hashlib.sha256(f"{settings!r}".encode())
    sha.update(packed.tobytes())
    for weight in model.state_dict().values():
        sha.update(weight.contiguous().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()
