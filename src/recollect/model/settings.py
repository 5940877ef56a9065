"""What a recipe may say about the model: sizes of backbone and item channel, and how they are tuned. No torch here."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class NanoShape(BaseModel):
    """Set the size of a small decoder with random weights and a vocabulary of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["nano"] = "nano"
    width: int = Field(default=128, ge=8)
    layers: int = Field(default=3, ge=1)
    heads: int = Field(default=4, ge=1)
    key_value_heads: int = Field(default=2, ge=1)
    feed_forward: int = Field(default=256, ge=8)
    vocabulary: int = Field(default=2048, ge=261)
    positions: int = Field(default=8192, ge=64)

    @model_validator(mode="after")
    def _divides(self) -> "NanoShape":
        if self.width % (2 * self.heads) or self.heads % self.key_value_heads:
            raise ValueError(
                f"width={self.width} must be an even multiple of heads={self.heads}, and heads a multiple of "
                f"key_value_heads={self.key_value_heads}"
            )
        return self


class PretrainedBackbone(BaseModel):
    """Name a causal language model: a folder, or a name of the model hub, and the type of its weights.

    `dtype` "auto" is float32 on a CPU and for tuning, and bfloat16 where a GPU only answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["pretrained"] = "pretrained"
    name: str = Field(min_length=1)
    revision: str = "main"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


class ChannelSettings(BaseModel):
    """Set the size of the item channel and what tuning hides of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(default=256, ge=8)
    learned: bool = True
    cold: float = Field(default=0.3, ge=0, le=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class TuningSettings(BaseModel):
    """Set what is tuned, from which rows, by which objective and optimiser, and when to stop.

    `method` "none" tunes nothing, "lora" adds low-rank weights to the modules named in `lora_targets` (those of the
    queries and values of any family if empty). `rows` draws a nested few-shot set, row by row or user by user (0 takes
    all). `supervise` asks the last question of each prompt, or all of them; `blocks` is then how many events a prompt
    holds. `original` is the share of prompts whose history is the most recent one, where the recipe retrieves (ReiT).
    `compile` tunes through compiled layers where all weights of a decoder of the Llama shape are tuned.
    The loss is the mean cross-entropy of the answers plus `within` times the mean pairwise loss inside each window,
    which asks a person's likes to stand above the same person's dislikes. Epochs are chosen on validation rows by log
    loss, or by `ranking`: one less the mean of AUC and UAUC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["none", "full", "lora"] = "full"
    lora_rank: int = Field(default=8, ge=1)
    lora_alpha: float = Field(default=16.0, gt=0)
    lora_dropout: float = Field(default=0.05, ge=0, lt=1)
    lora_targets: tuple[str, ...] = ()
    rows: int = Field(default=0, ge=0)
    draw: Literal["rows", "users"] = "rows"
    supervise: Literal["last", "all"] = "all"
    blocks: int = Field(default=8, ge=1)
    original: float = Field(default=0.0, ge=0, le=1)
    epochs: int = Field(default=4, ge=1)
    batch_tokens: int = Field(default=8_192, ge=64)
    accumulate: int = Field(default=1, ge=1)
    rate: float = Field(default=2e-3, gt=0)
    schedule: Literal["cosine", "linear"] = "cosine"
    warmup: int = Field(default=50, ge=1)
    floor: float = Field(default=0.05, ge=0, le=1)
    weight_decay: float = Field(default=0.1, ge=0)
    clip: float = Field(default=1.0, gt=0)
    hidden_events: float = Field(default=0.1, ge=0, le=1)
    within: float = Field(default=0.3, ge=0)
    averaging: float = Field(default=0.998, ge=0, lt=1)
    select: Literal["log_loss", "ranking"] = "log_loss"
    patience: int = Field(default=2, ge=1)
    selection_rows: int = Field(default=20_000, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    compile: bool = False
    checkpoint_seconds: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _compiles(self) -> "TuningSettings":
        if self.compile and (self.method == "lora" or self.gradient_checkpointing):
            other = 'method = "lora"' if self.method == "lora" else "gradient_checkpointing = true"
            raise ValueError(f"compile = true with {other}; leave one of the two out")
        return self
