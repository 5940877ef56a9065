"""Text and JSON on stdout."""

import json

import pytest

from recollect.cli.output import say, say_table, show_json, show_table


def test_json_has_null_where_a_number_is_undefined(capsys):
    show_json({"auc": float("nan"), "curve": (1.5, float("inf")), 7: "Amélie"})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"auc": None, "curve": [1.5, None], "7": "Amélie"}
    assert "Amélie" in captured.out


def test_table_lines_up_and_leaves_no_blanks_at_the_end(capsys):
    show_table([("item mean", 0.5), ("x", 10.25)], header=("", "AUC"), title="valid")
    assert capsys.readouterr().out.splitlines() == [
        "valid",
        "             AUC",
        "item mean    0.5",
        "x          10.25",
    ]


def test_table_without_header_is_a_list_of_facts(capsys):
    show_table([("rows", "7"), ("a longer name", "8")])
    assert capsys.readouterr().out.splitlines() == ["rows           7", "a longer name  8"]


@pytest.mark.parametrize("cell", ["[bold]title[/bold]", ":smile:", "[/]"])
def test_titles_are_text_and_never_markup(capsys, cell):
    show_table([("title", cell)])
    assert capsys.readouterr().out == f"title  {cell}\n"


def test_talk_goes_to_stderr(capsys):
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_tables_of_talk_go_to_stderr(capsys):
    say_table([("rows", 7)])
    assert capsys.readouterr() == ("", "rows  7\n")
