"""Values that do not fit a recipe, said in plain words: what, got, expected, do."""

import pytest

from recollect.errors import UsageError
from recollect.recipe import load_recipe, parse_recipe

OWN = {"name": "own", "summary": "s", "source": "t"}
AGAIN = "correct the file or the --set option; `recollect tune --help` shows an example"
UNKNOWN, LACKS, APART = "a key that {} cannot have", "a value that {} lacks", "values of {} that do not go together"
UNFIT = "a value of {} does not fit"


def refusal(document: dict[str, object]) -> UsageError:
    """Return what is said about a recipe with these values."""
    with pytest.raises(UsageError) as refused:
        parse_recipe({**OWN, **document}, where="own.toml")
    return refused.value


@pytest.mark.parametrize(
    ("document", "what", "got", "expected", "do"),
    [
        (
            {"past": {"delays": 3}},
            UNKNOWN,
            "past.delays = 3",
            "one of ties, delay",
            "did you mean past.delay?",
        ),
        ({"past": {"zzz": 3}}, UNKNOWN, "past.zzz = 3", "one of ties, delay", "take it out"),
        (
            {"layout": {"form": "stars"}},
            UNKNOWN,
            "layout.form = 'stars'",
            "one of kind, channel, title_tokens, profile",
            "set layout.kind to block, or take it out",
        ),
        (
            {"backbone": {"kind": "pretrained", "name": "m", "nam": 3}},
            UNKNOWN,
            "backbone.nam = 3",
            "one of kind, name, revision, dtype",
            "did you mean backbone.name?",
        ),
        (
            {"backbone": {"kind": "pretrained"}},
            LACKS,
            "no backbone.name",
            "a value for backbone.name",
            "add backbone.name",
        ),
        (
            {"history": {"shown": 3, "evict": 4}},
            APART,
            "in history: evict=4 drops more than the shown=3 events",
            "values that fit each other",
            "make it smaller",
        ),
        (
            {"backbone": {"heads": 4, "key_value_heads": 3}},
            APART,
            "in backbone: width=128 must be an even multiple of heads=4, and heads a multiple of key_value_heads=3",
            "values that fit each other",
            AGAIN,
        ),
        (
            {"demonstrations": {"count": 1}},
            APART,
            "the stream layout shows recent events of all kinds in time order and no separate demonstrations",
            "values that fit each other",
            "set layout.kind to block, or take those choices out",
        ),
    ],
)
def test_faults_of_keys_and_tables(document, what, got, expected, do):
    error = refusal(document)
    assert (error.what, error.got) == (what.format("the recipe own.toml"), got)
    assert (error.expected, error.do) == (expected, do)


@pytest.mark.parametrize(
    ("table", "key", "value", "expected"),
    [
        ("layout", "kind", "x", "one of 'stream', 'block'"),
        ("layout", "profile", "x", "true or false"),
        ("past", "ties", "x", "'exclude' or 'order'"),
        ("past", "delay", -5, "0 or more"),
        ("answers", "like", "", "text that is not empty"),
        ("answers", "like", 3, "text"),
        ("history", "semantic_share", 2, "1 or less"),
        ("tuning", "epochs", 2.5, "a whole number"),
        ("tuning", "epochs", "x", "a whole number"),
        ("tuning", "rate", "x", "a number"),
        ("tuning", "rate", 0, "more than 0"),
        ("tuning", "rate", float("inf"), "a finite number"),
        ("tuning", "averaging", 1, "less than 1"),
        ("tuning", "lora_targets", "x", "a list"),
    ],
)
def test_what_a_value_should_be(table, key, value, expected):
    error = refusal({table: {key: value}})
    assert (error.what, error.got) == (UNFIT.format("the recipe own.toml"), f"{table}.{key} = {value!r}")
    assert (error.expected, error.do) == (expected, AGAIN)


@pytest.mark.parametrize("table", ["tuning", "layout"])
def test_a_value_where_a_table_should_be(table):
    error = refusal({table: 3})
    assert (error.got, error.expected) == (f"{table} = 3", "a table")


def test_a_key_of_the_recipe_itself_lists_the_tables():
    with pytest.raises(UsageError) as refused:
        load_recipe("stream", overrides=["tunning.epochs=3"])
    assert refused.value.do == "did you mean tuning?"
    assert refused.value.expected.startswith("one of name, summary, source, past, history,")
