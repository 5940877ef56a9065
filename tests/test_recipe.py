"""Recipes: which value wins, what is refused, and that a written recipe is read back."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.errors import UsageError
from recollect.model.settings import NanoShape
from recollect.recipe import Recipe, dump_recipe, load_recipe, parse_recipe, recipe_names

PRESETS = ("tiny", "nano", "small")


def test_the_stream_recipe_comes_with_recollect():
    assert "stream" in recipe_names()
    assert load_recipe("stream").name == "stream"


def test_what_a_file_leaves_out_has_its_default(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nsummary = "s"\nsource = "own"\n[history]\nshown = 7\nevict = 3\n')
    recipe = load_recipe(str(file))
    assert (recipe.history.shown, recipe.history.evict) == (7, 3)
    assert recipe == Recipe(name="mine", summary="s", source="own", history=recipe.history)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_change_the_backbone_and_are_gone_from_the_result(preset):
    assert dump_recipe(load_recipe("stream", preset=preset)).count("presets") == 0


def test_sizes_grow_with_the_presets():
    widths = [cast(NanoShape, load_recipe("stream", preset=preset).backbone) for preset in PRESETS]
    sizes = [shape.layers * shape.width**2 for shape in widths]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_set_wins_over_preset_wins_over_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nsummary = "s"\nsource = "own"\n[tuning]\nepochs = 2\nwarmup = 3\npatience = 4\n'
        "[presets.big.tuning]\nepochs = 20\nwarmup = 30\n"
    )
    tuning = load_recipe(str(file), preset="big", overrides=["tuning.epochs=200"]).tuning
    assert (tuning.epochs, tuning.warmup, tuning.patience) == (200, 30, 4)


@pytest.mark.parametrize(
    ("text", "table", "key", "value"),
    [
        ("tuning.epochs=3", "tuning", "epochs", 3),
        (" tuning.rate = 1e-4", "tuning", "rate", 1e-4),
        ("layout.profile=false", "layout", "profile", False),
        ('layout.channel="both"', "layout", "channel", "both"),
        ("layout.channel=both", "layout", "channel", "both"),
        ("past.ties=order", "past", "ties", "order"),
    ],
)
def test_a_value_to_set_is_toml_or_else_text(text, table, key, value):
    assert getattr(getattr(load_recipe("stream", overrides=[text]), table), key) == value


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tuning.epoch=3", "tuning.epoch = 3"),
        ("tunning.epochs=3", "tunning"),
        ("tuning.epochs=0", "tuning.epochs = 0"),
        ("tuning.epochs=many", "tuning.epochs = 'many'"),
        ("tuning.rate=inf", "tuning.rate = inf"),
        ("tuning=3", "tuning = 3"),
        ("history.shown.deep=3", "history.shown"),
        ("history.evict=1000", "history"),
        ("backbone.width=30", "backbone"),
        ("past.delay=-5", "past.delay = -5"),
        ("tuning.method=lora", "stream layout"),
        ("tuning.epochs", "tuning.epochs"),
        ("=3", "=3"),
    ],
)
def test_a_value_that_does_not_fit_is_named(text, named):
    with pytest.raises(UsageError) as refused:
        load_recipe("stream", overrides=[text])
    assert named in refused.value.got


def test_a_recipe_that_lacks_a_value_is_refused():
    with pytest.raises(UsageError, match="lacks; got no summary"):
        parse_recipe({"name": "x"}, where="here")


def test_no_such_recipe_names_those_that_are():
    with pytest.raises(UsageError, match=r"got strem; expected one of .*'stream'"):
        load_recipe("strem")


def test_no_such_preset_names_those_that_are():
    with pytest.raises(UsageError, match="tiny"):
        load_recipe("stream", preset="huge")


@pytest.mark.parametrize(("text", "got"), [("presets = 3", "presets = 3"), ("[presets]\nbig = 3", "presets.big = 3")])
def test_presets_that_are_no_tables_are_refused(tmp_path, text, got):
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "mine"\nsummary = "s"\nsource = "own"\n{text}\n')
    with pytest.raises(UsageError, match="no tables") as refused:
        load_recipe(str(file))
    assert refused.value.got == got


@pytest.mark.parametrize(
    ("similarity", "vectors", "fits"),
    [
        ("semantic", ("collaborative_width=0",), True),
        ("semantic", ("text_width=0",), True),  # genres and years are left
        ("semantic", ("text=backbone", "text_width=0"), False),
        ("semantic", ("text=backbone", "text_width=0", "reduce=false"), True),
        ("collaborative", ("text=backbone", "text_width=0"), True),
        ("collaborative", ("collaborative_width=0",), False),
        ("hybrid", ("collaborative_width=0",), False),
    ],
)
def test_a_similarity_needs_the_vectors_that_it_weighs(similarity, vectors, fits):
    values = [f"history.similarity={similarity}", *(f"vectors.{value}" for value in vectors)]
    if fits:
        assert load_recipe("recicl", overrides=values).history.similarity == similarity
    else:
        with pytest.raises(UsageError, match=r"width 0; expected .*; widen"):
            load_recipe("recicl", overrides=values)


MODEL = ("backbone=0", "backbone.kind=pretrained", "backbone.name=m")


@pytest.mark.parametrize(
    ("name", "values", "noted"),
    [
        ("stream", (), []),
        ("recicl", (), []),
        ("tallrec", (), ["tuning.method lora needs"]),
        ("zero-shot", (), ["tuning.method none needs"]),
        ("recicl", ("layout.chat=true",), ["layout.chat needs"]),
        ("tallrec", ("layout.chat=true",), ["tuning.method lora and layout.chat need"]),
        ("tallrec", ("layout.chat=true", *MODEL), []),
        ("rella", MODEL, []),
        ("rella", (*MODEL, "history.choice=recent"), ["tuning.original 0.5 does nothing"]),
        ("rella", (*MODEL, "history.choice=recent", "history.order=similar-last"), []),
        ("stream", ("tuning.original=1",), ["tuning.original 1 does nothing"]),
    ],
)
def test_notes_say_what_is_needed_and_what_does_nothing(name, values, noted):
    notes = load_recipe(name, overrides=values).notes
    assert [note[: len(begins)] for note, begins in zip(notes, noted, strict=True)] == noted


def test_a_file_that_is_not_toml_is_refused(tmp_path):
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(UsageError, match="not TOML"):
        load_recipe(str(tmp_path / "bad.toml"))


@given(
    preset=st.sampled_from([None, *PRESETS]),
    epochs=st.integers(1, 10**6),
    rate=st.floats(1e-30, 1e30),
    summary=st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n")),
)
def test_what_is_written_is_read_back(tmp_path_factory, preset, epochs, rate, summary):
    chosen = load_recipe("stream", preset=preset, overrides=[f"tuning.epochs={epochs}", f"tuning.rate={rate!r}"])
    recipe = chosen.model_copy(update={"summary": summary})
    file = tmp_path_factory.getbasetemp() / "written.toml"
    file.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(str(file)) == recipe
