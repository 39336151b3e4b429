"""The file by which a machine is known: its key, its passport, and the authority that it trusts."""

import os
from pathlib import Path
from typing import Final

from freehold.config import Settings, store_files
from freehold.runtime.chance import Chance, new_id
from freehold.store.files import id_beside
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Word

FILE: Final = "identity"


class KeptIdentity(Word, frozen=True, kw_only=True):
    """What is in the file."""

    key: Secret
    """The private key, in hexadecimal. It was made here, and is nowhere else."""
    passport: bytes
    authority: bytes
    """The public key of the cloud's authority."""


def read_identity(state: Path) -> KeptIdentity | None:
    """Who this machine is; None if it isn't known yet. Raises Broken for a file that can't be read."""
    try:
        return decode((state / FILE).read_bytes(), KeptIdentity)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Broken(f"{state / FILE} can't be read ({error}); remove it and enroll this machine again") from error


def keep_identity(state: Path, identity: KeptIdentity) -> None:
    """Keeps who this machine is, whole or not at all."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = state / f"{FILE}.part"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(encode(identity))
        file.flush()
        os.fsync(file.fileno())
    part.replace(state / FILE)


def own_stores(settings: Settings, chance: Chance) -> tuple[str, ...]:
    """The ids of all stores that a process with these settings owns; those that aren't there yet get theirs now."""
    return tuple(id_beside(settings.state / name, new_id(chance)) for name in store_files(settings))
