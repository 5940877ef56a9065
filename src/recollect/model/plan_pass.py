"""One pass of rows under an attention plan of the caller's own, with gradients where torch's mode allows them.

It decides nothing: it embeds as `LanguageModel` does, item channel included, and runs the backbone itself, never a
decoder that stands in for it. What it refuses beforehand: backbones that no attention plan reaches.

Dimension letters: R rows, L tokens of a row, D width.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from recollect.errors import ModelError
from recollect.model.attention import AttentionPlan
from recollect.model.language_model import LanguageModel
from recollect.model.passes import embed_tokens, reachable_positions, run_body
from recollect.prompt.branches import Branches

__all__ = ["require_gates", "run_rows"]


def run_rows(model: LanguageModel, rows: Branches, plan: AttentionPlan) -> Float[Tensor, "R L D"]:
    """Compute the last hidden states of all tokens of some rows.

    Parameters
    ----------
    model
        Runs its backbone.
    rows
        Tokens and positions.
    plan
        What attention does.

    Raises
    ------
    ModelError
        If a position lies farther than the backbone can look, or soft tokens come without an item channel.
    """
    same = bool((rows.positions == rows.positions[:1]).all())
    positions = rows.positions[:1] if same else rows.positions
    reached = reachable_positions(positions, limit=model.span_limit, device=model.device)
    embedded = embed_tokens(model.causal, model.channel, tokens=rows.tokens, items=rows.items, features=rows.features)
    return run_body(model.causal, embedded, reached, plan=plan)


def require_gates(model: LanguageModel) -> None:
    """Check that attention can take gates.

    Raises
    ------
    ModelError
        If not.
    """
    if not model.pluggable:
        raise ModelError(
            what="the attention of this backbone takes no gates",
            got=f"{type(model.causal).__name__}, which does not call a registered attention function in every layer",
            expected="attention that goes through the attention interface of transformers, as in Llama, Qwen or GPT-2",
            do="choose such a backbone, or show recent or similar demonstrations",
        )
