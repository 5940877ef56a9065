"""Recipes: a paper as one TOML file, read and checked.

A recipe says what the model is shown, where it must answer, and what is tuned; every table of the file belongs to the
room that acts on it, and its settings class lives there. It decides the order in which values win: `--set`, then the
preset (a table `[presets.NAME.…]` of the same file), then the file, then the defaults.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from recollect.context.controls import ControlSettings
from recollect.context.demonstrations import DemonstrationSettings
from recollect.context.effects import EffectSettings
from recollect.context.evidence import HistoryView
from recollect.context.vectors import VectorSettings
from recollect.data.past import PastRule
from recollect.errors import UsageError
from recollect.misfits import misfit
from recollect.model.settings import ChannelSettings, NanoShape, PretrainedBackbone, TuningSettings
from recollect.prompt.answers import AnswerSettings
from recollect.prompt.block import BlockSettings
from recollect.prompt.stream import StreamSettings


class PastSettings(BaseModel):
    """Set which earlier events count as known (`recollect.data.past.PastRule`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ties: Literal["exclude", "order"] = "exclude"
    delay: int = Field(default=0, ge=0)

    def rule(self) -> PastRule:
        """Return the rule."""
        return PastRule(ties=self.ties, delay=self.delay)


def _kind_or(kind: str) -> Discriminator:
    """Tell which settings a table holds by its `kind`; without one it is the kind given here."""

    def told(table: object) -> str:
        found = cast(dict[str, Any], table).get("kind") if isinstance(table, dict) else getattr(table, "kind", None)
        return kind if found is None else str(found)

    return Discriminator(told)


Layout = Annotated[
    Annotated[StreamSettings, Tag("stream")] | Annotated[BlockSettings, Tag("block")], _kind_or("stream")
]
Backbone = Annotated[
    Annotated[NanoShape, Tag("nano")] | Annotated[PretrainedBackbone, Tag("pretrained")], _kind_or("nano")
]


class Recipe(BaseModel):
    """Hold one method as values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    source: str
    past: PastSettings = PastSettings()
    history: HistoryView = HistoryView()
    demonstrations: DemonstrationSettings = DemonstrationSettings()
    effects: EffectSettings = EffectSettings()
    layout: Layout = StreamSettings()
    answers: AnswerSettings = AnswerSettings()
    vectors: VectorSettings = VectorSettings()
    channel: ChannelSettings = ChannelSettings()
    backbone: Backbone = NanoShape()
    tuning: TuningSettings = TuningSettings()
    controls: ControlSettings = ControlSettings()

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        if isinstance(self.layout, StreamSettings):
            self._require_stream()
        else:
            self._require_vectors()
        return self

    @property
    def notes(self) -> list[str]:
        """What the recipe needs besides its own values, and which of them do nothing; one sentence each."""
        notes: list[str] = []
        method, shown = self.tuning.method, self.history
        if isinstance(self.layout, BlockSettings) and isinstance(self.backbone, NanoShape):
            needs = [f"tuning.method {method}"] * (method != "full") + ["layout.chat"] * self.layout.chat
            does = "need" if len(needs) > 1 else "needs"
            if needs:
                notes.append(
                    f"{' and '.join(needs)} {does} a language model: give --backbone MODEL to `recollect tune`"
                )
        is_recent = (shown.choice, shown.order) == ("recent", "time")
        if self.tuning.original and is_recent:
            notes.append(
                f"tuning.original {self.tuning.original:g} does nothing: histories are the most recent events anyway; "
                "set history.choice to retrieved or both"
            )
        return notes

    def wordless(self) -> Recipe:
        """Return what the recipe does, without what is said about it."""
        return self.model_copy(update={"summary": "", "source": ""})

    def _require_stream(self) -> None:
        """Refuse choices that the stream, which shows each event once and in time, cannot show.

        Raises
        ------
        ValueError
            If there is one.
        """
        shown = self.history
        if (shown.choice, shown.order, shown.feedback) != ("recent", "time", "all") or self.demonstrations.count:
            raise ValueError(
                "the stream layout shows recent events of all kinds in time order and no separate demonstrations; "
                "set layout.kind to block, or take those choices out"
            )
        if isinstance(self.backbone, PretrainedBackbone):
            raise ValueError("the stream layout needs backbone.kind nano; set layout.kind to block for other models")
        if self.tuning.method == "lora":
            raise ValueError(
                "the stream layout tunes a model from scratch, to which lora adds nothing; set tuning.method to full"
            )

    def _require_vectors(self) -> None:
        """Refuse a measure of nearness that lacks the item vectors it weighs.

        Raises
        ------
        ValueError
            If there is one.
        """
        view, vectors = self.history, self.vectors
        # beside n-grams stand genres and years, and what is not reduced keeps its columns
        has_text = vectors.text == "ngrams" or not vectors.reduce or vectors.text_width > 0
        if (view.text_share > 0 and not has_text) or (view.text_share < 1 and not vectors.collaborative_width):
            raise ValueError(
                f"history.similarity {view.similarity} weighs item vectors of width 0; "
                "widen vectors.text_width or vectors.collaborative_width, or take another history.similarity"
            )


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with recollect."""
    return sorted(file.name.removesuffix(".toml") for file in _shelf().iterdir() if file.name.endswith(".toml"))


def load_recipe(name: str, *, preset: str | None = None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name or file, and apply a preset and single values.

    Parameters
    ----------
    name : str
        A name of `recipe_names`, or the path of a TOML file.
    preset : str, optional
        A table under `[presets]` of the recipe.
    overrides : sequence of str
        Texts such as ``tuning.epochs=3``; the value is read as TOML, else as text.

    Raises
    ------
    UsageError
        If there is no such recipe or preset, or a value does not fit.

    Examples
    --------
    >>> load_recipe("stream", overrides=["tuning.epochs=3"]).tuning.epochs
    3
    """
    document = _read(name)
    presets = _take_presets(document, where=name)
    if preset is not None and preset not in presets:
        raise UsageError(
            "a preset that the recipe does not have", got=preset, expected=f"one of {sorted(presets)}", do="choose one"
        )
    _merge(document, presets.get(preset or "", {}))
    for text in overrides:
        _merge(document, _parse_override(text))
    return parse_recipe(document, where=name)


def parse_recipe(document: dict[str, Any], *, where: str) -> Recipe:
    """Check a recipe's values.

    Raises
    ------
    UsageError
        If a value is unknown, missing or out of range; the message names it.
    """
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        advice = "correct the file or the --set option; `recollect tune --help` shows an example"
        refused = misfit(error, Recipe, where=f"the recipe {where}", do=advice)
        raise refused from error


def dump_recipe(recipe: Recipe) -> str:
    """Write a recipe as TOML that `load_recipe` reads back to an equal value."""
    tables = recipe.model_dump(mode="json")
    lines = [_assignment(key, value) for key, value in tables.items() if not isinstance(value, dict)]
    for key, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{key}]", *(_assignment(*row) for row in cast(dict[str, Any], table).items())]
    return "\n".join(lines) + "\n"


def _assignment(name: str, value: object) -> str:
    """Write a value; a text of several lines keeps them, so that it can be read."""
    if isinstance(value, str) and "\n" in value:
        lines = (json.dumps(line, ensure_ascii=False)[1:-1] for line in value.split("\n"))
        return "\n".join([f'{name} = """', *lines]) + '"""'
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _read(name: str) -> dict[str, Any]:
    shipped = _shelf() / f"{name}.toml"
    file = Path(name)
    if not shipped.is_file() and not file.is_file():
        raise UsageError(
            "no such recipe", got=name, expected=f"one of {recipe_names()} or a TOML file", do="check the name"
        )
    text = shipped.read_text(encoding="utf-8") if shipped.is_file() else file.read_text(encoding="utf-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError("a recipe that is not TOML", got=error, expected="valid TOML", do=f"correct {name}") from error


def _take_presets(document: dict[str, Any], *, where: str) -> dict[str, dict[str, Any]]:
    """Take the presets out of a recipe.

    Raises
    ------
    UsageError
        If they are no tables.
    """
    presets = document.pop("presets", {})
    tables = {"presets": presets}
    if isinstance(presets, dict):
        tables = {f"presets.{name}": table for name, table in cast(dict[str, Any], presets).items()}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(
                f"presets of the recipe {where} that are no tables",
                got=f"{name} = {table!r}",
                expected="a table for each preset, such as [presets.small.tuning]",
                do="correct the file",
            )
    return cast(dict[str, dict[str, Any]], presets)


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError("a value to set without a name", got=text, expected="KEY=VALUE", do="write tuning.epochs=3")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return parsed


def _merge(document: dict[str, Any], more: dict[str, Any]) -> None:
    """Write values over a document, table by table."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _merge(document[key], cast(dict[str, Any], value))
        else:
            document[key] = value


def _shelf() -> Any:
    return resources.files("recollect") / "recipes"
