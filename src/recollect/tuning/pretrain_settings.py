"""What a pretraining may be told: the size of the decoder, its corpus and its optimiser."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recollect.errors import UsageError
from recollect.tuning.corpus import CorpusMix


class PretrainShape(BaseModel):
    """Set the size of the decoder: 5 million weights by default, up to 30 million are meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=256, ge=8)
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    key_value_heads: int = Field(default=2, ge=1)
    feed_forward: int = Field(default=768, ge=8)
    vocabulary: int = Field(default=8192, ge=259)
    positions: int = Field(default=2048, ge=64)

    @model_validator(mode="after")
    def _divides(self) -> PretrainShape:
        if self.width % (2 * self.heads) or self.heads % self.key_value_heads:
            raise ValueError(
                f"width={self.width} must be an even multiple of heads={self.heads}, and heads a multiple of "
                f"key_value_heads={self.key_value_heads}"
            )
        return self

    @classmethod
    def of(cls, *, width: int, layers: int, vocabulary: int) -> PretrainShape:
        """Choose the other sizes by the width: heads of 64, half as many for keys and values, three widths inside.

        Raises
        ------
        UsageError
            If the heads do not divide the width.
        """
        heads = max(1, width // 64)
        if width % (2 * heads):
            raise UsageError(
                "a width that the heads do not divide",
                got=width,
                expected="a multiple of 64, or an even number below 128",
                do="give another width",
            )
        half = heads // 2 if heads % 2 == 0 else heads
        sizes = {"heads": heads, "key_value_heads": half, "feed_forward": 3 * width}
        return cls(width=width, layers=layers, vocabulary=vocabulary, **sizes)


class PretrainSettings(BaseModel):
    """Set the corpus, how it is packed, and the optimiser."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mix: CorpusMix = CorpusMix()
    tokenizer_documents: int = Field(default=20_000, ge=1)
    row_tokens: int = Field(default=512, ge=8)
    batch_rows: int = Field(default=4, ge=1)
    rate: float = Field(default=2e-3, gt=0)
    warmup: float = Field(default=0.03, ge=0, lt=1)
    floor: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=0.1, ge=0)
    clip: float = Field(default=1.0, gt=0)
    checkpoint_seconds: float = Field(default=60, gt=0)
