"""The language model: prompt trees in, answer logits out, for any causal decoder of `transformers`.

What it is: a wrapper around a backbone, an optional item channel and the answer tokens. `forward` runs packed trees
(tuning and evaluation); `append` and `score` keep a trunk warm and ask many candidates against it (serving).

What it decides: nothing about families, which are observed at load time (`recollect.model.check`). Only the output rows
of the answers are computed, only at the slots. A score is the difference of answer logits, which is the difference of
log-probabilities. An answer of several tokens is read at several slots (`recollect.model.answer_tokens`), and then the
logit of an answer is its log-probability. Where attention cannot be plugged, `score` packs the trunk with its branches
instead: the same answers, without the saving. Without gradients, another decoder may stand in for the backbone's own
forward pass (`recollect.model.ways` chooses it); with gradients only one that tuning asked for.

Dimension letters: B rows, T tokens, S slots, Q questions, k slots of a question, A answers, C candidates, L tokens of a
branch, G cached segments, D width.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64
from torch import Tensor, nn
from transformers import PreTrainedModel

from recollect.errors import ModelError
from recollect.model.answer_head import answer_logits, learns_in_one_table, text_answer_logits
from recollect.model.answer_tokens import AnswerTokens
from recollect.model.attention import MaskPlan
from recollect.model.cache import KeyValueStore, TrunkCache
from recollect.model.cache_plans import AppendPlan, AppendsPlan, CascadePlan, CascadesPlan
from recollect.model.check import evaluating, plug_attention, require_tree_support, span_limit
from recollect.model.compact import CompactDecoder, Trunks
from recollect.model.graphed import GraphedDecoder
from recollect.model.growth import Growth
from recollect.model.native.decoder import NativeDecoder
from recollect.model.passes import added_mask, embed_tokens, reachable_positions, run_body, to_device
from recollect.model.quantised import CacheKind
from recollect.model.sharing import passes, within
from recollect.model.tree_attention import tree_plan
from recollect.model.visibility import check_relation
from recollect.prompt.branches import Branches
from recollect.prompt.growth import attach
from recollect.prompt.packing import Packed, pack
from recollect.prompt.tree import NO_ITEM, PromptTree

__all__ = ["Decoder", "LanguageModel"]

Decoder = CompactDecoder | GraphedDecoder | NativeDecoder
"""What may stand in for a backbone's own forward pass."""

_CHUNK_TOKENS = 2048  # tokens of branches, or of growing trunks, computed together
_Reader = Callable[[Branches, Int64[np.ndarray, "C N"]], Float[Tensor, "C N D"]]


class LanguageModel(nn.Module):
    """Answer prompt trees with a causal language model.

    Parameters
    ----------
    causal
        A causal language model of `transformers`, which is set to our attention function where it allows that. Whether
        it is training or evaluated holds for the whole.
    answers
        Token ids of each answer, such as no and yes; a bare id is an answer of one token.
    channel
        Gives the input vectors of soft tokens: ``channel(items: Int[T'], features: Float[T', F],
        embedded: Float[T', D]) -> Float[T', D]``. None if items enter as text alone.

    Attributes
    ----------
    answers
        Token id of the first token of each answer.
    answer_tokens
        All tokens of each answer.
    span_limit
        How many positions the backbone can look across.
    pluggable
        Whether `append` and `score` compute the new tokens only; if not, they give the same answers without the saving.
    decoder
        Computes hidden states where no gradient is asked for; None means the backbone's own forward pass.
    tuning_decoder
        Computes hidden states where gradients are asked for; None means the backbone's own forward pass.
    cache_kind
        How new trunks keep their keys and values.

    Raises
    ------
    ModelError
        If the backbone cannot show prompt trees, or the answers cannot be told apart.
    """

    answers: Tensor

    def __init__(
        self, causal: PreTrainedModel, *, answers: Sequence[int | Sequence[int]], channel: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.causal = causal
        self.channel = channel
        self.answer_tokens = AnswerTokens.of(answers)
        first = [one[0] for one in self.answer_tokens.tokens]
        self.register_buffer("answers", torch.tensor(first, device=causal.device), persistent=False)
        self.span_limit = span_limit(causal.config.get_text_config())
        self.decoder: Decoder | None = None
        self.tuning_decoder: CompactDecoder | None = None
        self.cache_kind: CacheKind = "as computed"
        self.pluggable = plug_attention(causal)
        self.train(causal.training)
        require_tree_support(causal, self.answers)

    @property
    def device(self) -> torch.device:
        """Where the backbone's weights are."""
        return self.answers.device

    @property
    def slots_per_question(self) -> int:
        """Answer slots k of one question: 1 if every answer is one token."""
        return self.answer_tokens.slots_per_question

    def forward(self, packed: Packed) -> Float[Tensor, "Q A"]:
        """Compute the answer logits of every question of a packed batch.

        Parameters
        ----------
        packed
            Trees in rows. Every k slots are one question: where it ends, then where the later tokens of the first
            answer are read, then those of the second. Logits come in the order of the questions.

        Raises
        ------
        ModelError
            If a tree reaches farther than the backbone can look, holds soft tokens without an item channel, or has a
            number of slots that is no multiple of k.
        """
        k = self.slots_per_question
        if len(packed.slots) % k:
            raise ModelError(
                what="answer slots that make no whole questions",
                got=f"{len(packed.slots)} slots",
                expected=f"a multiple of {k}, the slots of one question",
                do="write out the answers of several tokens behind each question",
            )
        embedded, rows = self._embed_with_answers(packed)
        states = self._slot_states(packed, embedded)
        return self._answer_logits(states.view(-1, k, states.shape[-1]), rows=rows)

    def _embed_with_answers(self, packed: Packed) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "A D"] | None]:
        """Look up input vectors, and the answers' rows with them where the output layer learns in the same table.

        The table then has one gradient of its size, not two and their sum.
        """
        if self.slots_per_question > 1 or not learns_in_one_table(self.causal, self.answers):
            return self._embed(packed.tokens, packed.items, packed.features), None
        answers = self.answers.cpu().numpy()
        tokens = np.concatenate([packed.tokens.reshape(-1), answers], dtype=np.int32, casting="same_kind")
        items = np.concatenate([packed.items.reshape(-1), np.full(len(answers), NO_ITEM, np.int32)])
        features = packed.features.reshape(packed.items.size, -1)
        features = np.concatenate([features, np.zeros((len(answers), features.shape[1]), np.float32)])
        vectors = self._embed(tokens[None], items[None], features[None])[0]
        embedded, rows = vectors.tensor_split([packed.tokens.size])
        return embedded.view(*packed.tokens.shape, -1), rows

    def _slot_states(self, packed: Packed, embedded: Float[Tensor, "B T D"]) -> Float[Tensor, "S D"]:
        """Compute the last hidden state at every slot."""
        slots = self._tensor(packed.slots.astype(np.int64))
        learning = torch.is_grad_enabled() or self.training
        decoder = self.tuning_decoder if learning else self._serving_decoder()
        dtype = self._score_type() if learning or decoder is None else decoder.dtype
        added = partial(self._added_mask, dtype=dtype)
        plan = tree_plan(self.causal, packed.mask, dtype=dtype, added=added) if self.pluggable else None
        mask = None if plan is not None else added(packed.mask)[:, None]
        if decoder is None:
            hidden = run_body(self.causal, embedded, self._reachable(packed.positions), mask=mask, plan=plan)
            rows, tokens = slots.unbind(1)
            return hidden[rows, tokens]
        positions = self._reachable(packed.positions)
        return decoder.encode(embedded, positions, plan=plan or MaskPlan(cast(Tensor, mask)), slots=slots)

    def _serving_decoder(self) -> Decoder | None:
        """Return what stands in for the backbone, except under autocast, which has a type of its own."""
        return None if torch.is_autocast_enabled(self.device.type) else self.decoder

    def _answer_logits(
        self, states: Float[Tensor, "Q k D"], *, rows: Float[Tensor, "A D"] | None = None
    ) -> Float[Tensor, "Q A"]:
        """Read the answers of questions from the hidden states at their slots."""
        if self.slots_per_question == 1:
            return answer_logits(self.causal, states[:, 0], self.answers, rows=rows)
        return text_answer_logits(self.causal, states, self.answers, later=self.answer_tokens.later)

    @torch.inference_mode()
    def append(
        self, cache: TrunkCache, delta: PromptTree, *, sees: Bool[np.ndarray, "N G"] | None = None
    ) -> TrunkCache:
        """Extend a trunk by new segments, computing the new tokens only.

        Parameters
        ----------
        cache
            What is there already; `TrunkCache.empty()` to begin. It stays valid.
        delta
            The new segments, all shared; ``delta.sees`` says how they see each other.
        sees
            Which cached segments each new one sees; None means all.

        Raises
        ------
        PromptError
            If the delta has leaves, or ``sees`` does not fit.
        ModelError
            As `forward`.
        """
        return self.append_together([Growth.of(cache, delta, sees=sees)])[0]

    @torch.inference_mode()
    def append_together(self, growths: Sequence[Growth], *, chunk: int | None = None) -> list[TrunkCache]:
        """Extend several trunks, each by its own new segments, in shared passes.

        Parameters
        ----------
        growths
            The trunks, all of which stay valid, and what each grows by.
        chunk
            New tokens computed together, though never less than those of one trunk; about two thousand if None. It
            changes no answer.

        Returns
        -------
        list
            As `append` gives them, trunk by trunk.

        Raises
        ------
        PromptError, ModelError
            As `append`.
        """
        if not self.pluggable:
            return [growth.joined() for growth in growths]
        plans = [self._append_plan(growth) for growth in growths]
        with evaluating(self):
            for part in passes([len(growth.delta) for growth in growths], most=chunk or _CHUNK_TOKENS):
                self._append([growth.delta for growth in growths[part]], plans[part])
        return [growth.grown(plan.store) for growth, plan in zip(growths, plans, strict=True)]

    def _append_plan(self, growth: Growth) -> AppendPlan:
        """Make room for the new tokens of a trunk, and say what they see."""
        cache, mask = growth.cache, growth.mask()
        begun = cache.store if cache.length else KeyValueStore.empty(self.cache_kind)
        store = begun.room_for(len(growth.delta), after=cache.length)
        return AppendPlan(store, cache.length, None if mask is None else self._added_mask(mask)[None, None])

    def _append(self, deltas: Sequence[PromptTree], plans: Sequence[AppendPlan]) -> None:
        """Compute the new tokens of some trunks behind each other, and write what is kept of them."""
        arrays = [(one.tokens, one.items, one.features, one.positions) for one in deltas]
        tokens, items, features, positions = (
            arrays[0] if len(arrays) == 1 else map(np.concatenate, zip(*arrays, strict=True))
        )
        plan = (
            plans[0]
            if len(plans) == 1
            else AppendsPlan([(len(one), plan) for one, plan in zip(deltas, plans, strict=True)])
        )
        embedded, reachable = self._embed(tokens[None], items[None], features[None]), self._reachable(positions[None])
        decoder = self._serving_decoder()
        if decoder is None:
            run_body(self.causal, embedded, reachable, plan=plan)
        else:
            decoder.append(embedded, reachable, plan=plan)

    @torch.inference_mode()
    def score(
        self,
        cache: TrunkCache,
        branches: Branches,
        *,
        sees: Bool[np.ndarray, " G"] | None = None,
        chunk: int | None = None,
    ) -> Float[Tensor, "C A"]:
        """Compute the answer logits of every branch against a warm trunk, which is never copied per branch.

        Parameters
        ----------
        cache
            The trunk.
        branches
            The candidates.
        sees
            Which cached segments the branches see; None means all.
        chunk
            Candidates computed together, which bounds memory; at most about two thousand tokens if None. It changes no
            answer.

        Raises
        ------
        PromptError
            If ``sees`` does not fit.
        ModelError
            As `forward`.
        """
        visible = np.ones(cache.segment_count, np.bool_) if sees is None else sees
        check_relation(visible, (cache.segment_count,))
        with evaluating(self):
            return self._score([(cache, branches, visible)], chunk=chunk)[0]

    @torch.inference_mode()
    def score_together(self, questions: Sequence[tuple[TrunkCache, Branches]]) -> list[Float[Tensor, "_ A"]]:
        """Compute the answer logits of several questions, each with its own trunk, in shared passes.

        Parameters
        ----------
        questions
            A trunk, all of which is seen, and its branches.

        Returns
        -------
        list
            As `score` gives them, question by question.

        Raises
        ------
        ModelError
            As `forward`.
        """
        seen = [(cache, branches, np.ones(cache.segment_count, np.bool_)) for cache, branches in questions]
        with evaluating(self):
            if self.pluggable:
                return self._score(seen, chunk=None) if seen else []
            return [self._score([one], chunk=None)[0] for one in seen]

    def _score(
        self, questions: Sequence[tuple[TrunkCache, Branches, Bool[np.ndarray, " G"]]], *, chunk: int | None
    ) -> list[Float[Tensor, "_ A"]]:
        """Score in chunks; where attention cannot be plugged there is one question."""
        counts = [len(branches) for _, branches, _ in questions]
        joined = Branches.join([branches for _, branches, _ in questions])
        length = max(1, joined.tokens.shape[1] + self.slots_per_question - 1)
        decoder = self._serving_decoder()
        size = chunk or (max(1, _CHUNK_TOKENS // length) if decoder is None else decoder.chunk(length))
        trunks = [self._visible_trunk(cache, visible) for cache, _, visible in questions] if self.pluggable else []
        logits = [torch.zeros((0, len(self.answers)), device=self.device)]
        for start in range(0, len(joined), size):
            part = joined.take(slice(start, start + size))
            if self.pluggable:
                read = partial(self._read_cascade, trunks=within(counts, trunks, start=start, count=len(part)))
            else:
                read = partial(self._read_packed, trunk=questions[0][0].tree, sees=questions[0][2])
            logits.append(self._score_chunk(part, read))
        whole, ends = torch.cat(logits), np.cumsum(counts)
        return [whole[int(end) - count : int(end)] for end, count in zip(ends, counts, strict=True)]

    def _score_chunk(self, part: Branches, read: _Reader) -> Float[Tensor, "C A"]:
        """Read some branches, continued by each answer of several tokens."""
        states = [read(longer, places) for longer, places in self.answer_tokens.continued(part)]
        return self._answer_logits(torch.cat([states[0][:, :1], *(one[:, 1:] for one in states)], dim=1))

    def _read_cascade(
        self, part: Branches, places: Int64[np.ndarray, "C N"], *, trunks: Trunks
    ) -> Float[Tensor, "C N D"]:
        """Compute the hidden states of some tokens of each branch, each branch one row of a batch."""
        embedded = self._embed(part.tokens, part.items, part.features)
        same = bool((part.positions == part.positions[:1]).all())
        positions, decoder = part.positions[:1] if same else part.positions, self._serving_decoder()
        if decoder is not None:
            asked = self._tensor(places)
            return decoder.read(embedded, self._reachable(positions), places=asked, trunks=trunks)
        plans = [(count, CascadePlan(trunk)) for count, trunk in trunks]
        plan = plans[0][1] if len(plans) == 1 else CascadesPlan(plans)
        hidden = run_body(self.causal, embedded, self._reachable(positions), plan=plan)
        return hidden[torch.arange(len(part), device=self.device)[:, None], self._tensor(places)]

    def _read_packed(
        self,
        part: Branches,
        places: Int64[np.ndarray, "C N"],
        *,
        trunk: PromptTree | None,
        sees: Bool[np.ndarray, " G"],
    ) -> Float[Tensor, "C N D"]:
        """Compute the same with the trunk encoded anew."""
        tree = attach(trunk, part, sees=sees)
        slots = ((tree.slots - part.slots)[:, None] + places).astype(np.int32)
        asked = replace(tree, slots=slots.reshape(-1), slot_rows=np.repeat(tree.slot_rows, slots.shape[1]))
        packed = pack([asked])
        states = self._slot_states(packed, self._embed(packed.tokens, packed.items, packed.features))
        return states.view(*slots.shape, states.shape[-1])

    def _visible_trunk(self, cache: TrunkCache, visible: Bool[np.ndarray, " G"]) -> list[tuple[Tensor, Tensor]]:
        """View the trunk's keys and values of each layer; copied once if a part of it is hidden."""
        decoder = self._serving_decoder()
        dtype = self._score_type() if decoder is None else decoder.dtype
        kept = [cache.store.read(layer, cache.length) for layer in range(len(cache.store.keys))]
        layers = [(keys.to(dtype), values.to(dtype)) for keys, values in kept]
        if visible.all():
            return layers
        kept = self._tensor(np.flatnonzero(cache.token_view(visible[None])[0]))
        return [(keys.index_select(2, kept), values.index_select(2, kept)) for keys, values in layers]

    def _embed(
        self,
        tokens: Int32[np.ndarray, "B T"],
        items: Int32[np.ndarray, "B T"],
        features: Float32[np.ndarray, "B T F"],
    ) -> Float[Tensor, "B T D"]:
        return embed_tokens(self.causal, self.channel, tokens=tokens, items=items, features=features)

    def _reachable(self, positions: Int32[np.ndarray, "#B T"]) -> Int64[Tensor, "#B T"]:
        return reachable_positions(positions, limit=self.span_limit, device=self.device)

    def _added_mask(
        self, seen: Bool[np.ndarray, "*B Q K"], *, dtype: torch.dtype | None = None
    ) -> Float[Tensor, "*B Q K"]:
        return added_mask(seen, dtype=dtype or self._score_type(), device=self.device)

    def _score_type(self) -> torch.dtype:
        """Return the type in which the backbone's attention computes."""
        kind = self.device.type
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.causal.dtype

    def _tensor(self, array: np.ndarray) -> Tensor:
        return to_device(array, self.device)
