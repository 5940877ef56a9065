"""The settings of the service: from the command line, else the environment, else a TOML file, else these defaults.

It decides that one list of names serves all three: `rate` in the file is `RECOLLECT_RATE` in the environment, and
`queue` under `[engine]` is `RECOLLECT_ENGINE__QUEUE`. A name that we do not know is an error, in the file and in the
environment, since a limit that is misspelt is no limit.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, cast

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from recollect.errors import SourceNotFound, UsageError
from recollect.service.engine_settings import EngineSettings

PREFIX: Final = "RECOLLECT_"
_OF_OTHERS: Final = frozenset(
    {"browser", "data", "debug", "golden", "require_browser", "require_postgres", "test_postgres"}
)
"""Names with our prefix that the command line and the tests read."""


class Settings(BaseSettings):
    """What an operator may choose; every field says what it does."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")] = 8000
    store: Annotated[
        str, Field(description="Where events are kept: `sqlite:///FILE` or `postgresql+psycopg://...`.")
    ] = "sqlite:///recollect.db"
    require_key: Annotated[
        bool, Field(description="Whether requests from this machine itself need an API key too.")
    ] = False
    runs: Annotated[
        Path | None,
        Field(description="Folder that models must lie in to be activated; by default the one that holds RUN."),
    ] = None
    body_limit: Annotated[int, Field(ge=1, description="Largest request body, bytes.")] = 4 * 2**20
    rate: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="Requests per second of one key or address; 0: no limit.")
    ] = 500.0
    burst: Annotated[int, Field(ge=1, description="Requests that may come at once before the rate counts.")] = 1_000
    slots: Annotated[
        int, Field(ge=1, le=1_000, description="Requests of one kind (answers, writes) at once; more are refused.")
    ] = 32
    engine: Annotated[EngineSettings, Field(description="What the engine may use.")] = EngineSettings()
    drain_seconds: Annotated[
        float, Field(ge=0, description="How long to answer on, marked as not ready, after the signal to stop.")
    ] = 0.0
    stop_seconds: Annotated[int, Field(ge=1, description="How long running requests may take to end, seconds.")] = 30
    log_level: Annotated[
        str, Field(pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")
    ] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the framework names its arguments
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put what was given first, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(file: Path | None = None, **given: Any) -> Settings:
    """Read the settings.

    Parameters
    ----------
    file : Path, optional
        TOML file with fields of `Settings`.
    given
        Fields that win over environment and file; None counts as not given.

    Raises
    ------
    SourceNotFound
        If there is no such file.
    UsageError
        If the file is no TOML, or a value or a name makes no sense, also in the environment.
    """
    for name in os.environ:
        _check_name(name)
    if file is not None and not file.is_file():
        raise SourceNotFound("no such settings file", got=file, expected="a TOML file", do="check the path")

    class FromFile(Settings):
        """The settings, with a file among their sources."""

        model_config = SettingsConfigDict(toml_file=file)

    try:
        return FromFile(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        _refuse(error)
    except ValueError as error:  # the reader of TOML raises a kind of this
        raise UsageError("settings that are no TOML", got=error, expected="a TOML file", do=f"mend {file}") from error


def _check_name(variable: str) -> None:
    """See that a variable of the environment is none of ours, or one that we know.

    Raises
    ------
    UsageError
        If it is not.
    """
    name = variable.lower().removeprefix(PREFIX.lower())
    ours = name != variable.lower() and name not in _OF_OTHERS
    if ours and name not in Settings.model_fields and not name.startswith("engine__"):
        _refuse_name(variable)


def _refuse_name(got: str) -> NoReturn:
    names = ", ".join(cast(Any, Settings.model_fields))
    raise UsageError("a setting that we do not know", got=got, expected=f"one of {names}", do="check the name")


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        _refuse_name(name)
    raise UsageError(
        f"a bad value for the setting {name!r}",
        got=first["input"],
        expected=first["msg"],
        do=f"mend it in the settings file, on the command line or in {PREFIX}{name.upper()}",
    )
