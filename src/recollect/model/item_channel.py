"""The item channel: the input vector of a soft token, from what is known of its item.

    vector = token embedding + item(static, statistics) + learned[item]          for an item
             the same        + answer(static, statistics, residual)              for its answer

*static* are text and collaborative vectors (`recollect.context.vectors`), *statistics* the item's causal like rate and
count. An answer's vector carries the item too, so that one attention step can weigh past answers by similarity. Idea
of a soft token: CoLLM and ReLLaX (spec `recicl`, section 4); form and inputs are our own.

It decides how the model stays open for new items: in tuning, a share `cold` of the tokens loses its collaborative and
learned parts, exactly what an unseen item lacks.

Dimension letters: I items, K static columns, N soft tokens, F features, D width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recollect.model.settings import ChannelSettings
from recollect.prompt.stream import FEATURES, KNOWN_BEFORE


class ItemChannel(nn.Module):
    """Compute input vectors of soft tokens.

    Parameters
    ----------
    static
        Vectors of all items: text columns first, then the collaborative ones.
    collaborative
        How many of the last columns an unseen item lacks.
    width
        D, the backbone's.
    settings
        Sizes and dropout.
    """

    static: Tensor

    def __init__(
        self, static: Float[Tensor, "I K"], *, collaborative: int, width: int, settings: ChannelSettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.text = static.shape[1] - collaborative
        self.register_buffer("static", static, persistent=False)
        self.item = _two_layers(static.shape[1] + KNOWN_BEFORE, settings.hidden, width)
        self.answer = _two_layers(static.shape[1] + len(FEATURES), settings.hidden, width)
        self.learned = nn.Embedding(static.shape[0], width) if settings.learned else None
        if self.learned is not None:
            nn.init.normal_(self.learned.weight, std=0.02)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self, items: Int[Tensor, " N"], features: Float[Tensor, "N F"], embedded: Float[Tensor, "N D"]
    ) -> Float[Tensor, "N D"]:
        """Return the vectors of N soft tokens, given the embeddings of their placeholders and answer words."""
        kept = self._kept(items)
        static = self.static[items]
        static = torch.cat([static[:, : self.text], static[:, self.text :] * kept], dim=1)
        vectors = embedded + self.item(torch.cat([static, features[:, :KNOWN_BEFORE]], dim=1))
        if self.learned is not None:
            vectors = vectors + self.learned(items) * kept
        answered = features[:, -1].nonzero()[:, 0]
        answer = self.answer(torch.cat([static[answered], features[answered]], dim=1))
        return self.dropout(vectors.index_add(0, answered, answer.to(vectors.dtype)))

    def _kept(self, items: Int[Tensor, " N"]) -> Float[Tensor, "N 1"]:
        """Draw which tokens keep what only known items have: all of them outside tuning."""
        if not self.training or self.settings.cold == 0:
            return torch.ones(len(items), 1, device=items.device)
        return (torch.rand(len(items), 1, device=items.device) >= self.settings.cold).float()


def _two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))
