"""Settings as they come: from a TOML file, and from the command line over it."""

import tomllib
from pathlib import Path

import msgspec

from freehold.config.checks import checked
from freehold.config.settings import Settings
from freehold.vocabulary.errors import BadRequest


def read(path: Path | None, **given: object) -> Settings:
    """The settings of a TOML file, with those `given` (other than None) put over them.

    Raises BadRequest for a file that can't be read, and for a name or value that isn't a setting.
    """
    found: dict[str, object] = {}
    if path is not None:
        try:
            found = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"the settings file {path} can't be read: {error}") from error
    found |= {
        name: str(value) if isinstance(value, Path) else value for name, value in given.items() if value is not None
    }
    try:
        return checked(msgspec.convert(found, Settings, dec_hook=_path))
    except msgspec.ValidationError as error:
        raise BadRequest(f"the settings aren't right: {error}") from error


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"{value!r} isn't a {kind.__name__.lower()}")
