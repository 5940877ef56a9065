"""Settings: given first, then the environment, then the file; what makes no sense is said; the page lists them all."""

from pathlib import Path

import pytest

from recollect.errors import SourceNotFound, UsageError
from recollect.service.engine_settings import EngineSettings
from recollect.service.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]


def test_given_wins_over_environment_and_environment_over_file(tmp_path, monkeypatch):
    file = tmp_path / "service.toml"
    file.write_text("port = 1\nrate = 2.0\nburst = 3\n\n[engine]\nqueue = 4\n")
    monkeypatch.setenv("RECOLLECT_PORT", "11")
    monkeypatch.setenv("RECOLLECT_RATE", "12")
    monkeypatch.setenv("RECOLLECT_ENGINE__LIGHT", "15")
    settings = load_settings(file, port=21, host=None)
    assert (settings.port, settings.rate, settings.burst, settings.host) == (21, 12.0, 3, "127.0.0.1")
    assert (settings.engine.queue, settings.engine.light) == (4, 15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rat = 2", "a setting that we do not know; got rat; expected one of host, "),
        ("port = 'x'", "a bad value for the setting 'port'"),
        ("[engine]\nqueue = 0", "a bad value for the setting 'engine.queue'"),
        ("port =", "no TOML"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path, text, message):
    file = tmp_path / "service.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_settings(file)


@pytest.mark.parametrize("name", ["RECOLLECT_RAT", "RECOLLECT_RATE__X", "RECOLLECT_ENGINE__QUEU", "recollect_rat"])
def test_a_name_in_the_environment_that_nobody_reads_is_said(monkeypatch, name):
    monkeypatch.setenv("RECOLLECT_DEBUG", "1")
    load_settings()
    monkeypatch.setenv(name, "1")
    with pytest.raises(UsageError, match=r"a setting that we do not know; got \S*(?i:rat|queu)"):
        load_settings()


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SourceNotFound):
        load_settings(tmp_path / "none.toml")


@pytest.mark.parametrize("name", [*Settings.model_fields, *EngineSettings.model_fields])
def test_the_page_lists_every_setting(name):
    assert f"| `{name}` |" in (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
