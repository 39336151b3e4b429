"""The file of secrets of a place. It is TOML, for its owner alone: `password = "…"` for a database or Redis; for
buckets and Swift what `SECRETS` names.
"""

import tomllib
from pathlib import Path
from typing import Final

from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.place import Place
from freehold.vocabulary.secret import Secret

SECRETS: Final = {
    "s3": ("access_key_id", "secret_access_key", "session_token"),
    "gs": ("service_account_key",),
    "az": ("account_key", "sas_token"),
    "swift": ("password", "application_credential_secret"),
}
"""What it may have for a bucket or Swift. Without one, S3 and its like take what the environment or machine gives."""


def read_secrets(place: Place, path: Path | None) -> dict[str, Secret]:
    """What a file has for a place; nothing without a file. Blocks. Raises BadRequest, without a word of what is in
    it.
    """
    if path is None:
        return {}
    known = SECRETS.get(place.kind, () if place.kind == "folder" else ("password",))
    try:
        if path.stat().st_mode & 0o077:
            raise BadRequest(f"the file of secrets {path} can be read by others: chmod 600 {path}")
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadRequest(f"the file of secrets {path} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise BadRequest(f'the file of secrets {path} isn\'t TOML, like: password = "…"') from None
    if unknown := sorted(set(found) - set(known)):
        raise BadRequest(
            f"the file of secrets {path} has {', '.join(unknown)}; for {place.kind} it can have "
            f"{', '.join(known) or 'nothing'}"
        )
    if any(not isinstance(value, str) or not value for value in found.values()):
        raise BadRequest(f"the file of secrets {path} has a value that isn't a text")
    return {name: Secret(value) for name, value in found.items()}
