"""The file by which a machine is known: its key, its passport, and the authority that it trusts."""

import os
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from freehold.config import Settings, store_files
from freehold.runtime.chance import Chance, new_id
from freehold.runtime.keys import KEY_BYTES
from freehold.store.files import id_beside
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import Broken
from freehold.vocabulary.machine import Papers, Roll
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
    ticket: str = ""
    """What the servers of the bus let it in by."""
    centre: str = ""
    """The directory's cluster."""
    roll: Roll | None = None
    """Of a machine that runs a server of the bus: what that checks tickets with, as it was when it was given."""
    route: Secret | None = None
    """Of such a machine: what the servers of its cluster know each other by."""
    next_key: Secret | None = None
    """The key that a passport is being asked for: kept before it is asked, so that a lost answer is asked for again."""


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


class IdentityFile:
    """Rolls the key of the machine whose state is in a folder, a step at a time. It must have an identity."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def next_key(self, chance: Chance) -> bytes:
        """The key to ask a passport for: the same until `take`, whatever ends in between."""
        kept = self._kept()
        if kept.next_key is None:
            kept = replace(kept, next_key=Secret(chance.bytes(KEY_BYTES).hex()))
            keep_identity(self._state, kept)
        assert kept.next_key is not None
        return bytes.fromhex(kept.next_key.reveal())

    def take(self, papers: Papers) -> None:
        """The papers of the next key have come: the machine is known by that from now on."""
        kept = self._kept()
        assert kept.next_key is not None
        after = replace(kept, key=kept.next_key, passport=papers.passport, ticket=papers.ticket, next_key=None)
        after = replace(after, centre=papers.centre)
        keep_identity(self._state, after)

    def keep_roll(self, roll: Roll) -> None:
        """What the machine's server of the bus checks tickets with from now on."""
        keep_identity(self._state, replace(self._kept(), roll=roll))

    def _kept(self) -> KeptIdentity:
        kept = read_identity(self._state)
        assert kept is not None
        return kept


def own_stores(settings: Settings, chance: Chance) -> tuple[str, ...]:
    """The ids of all stores that a process with these settings owns; those that aren't there yet get theirs now."""
    return tuple(id_beside(settings.state / name, new_id(chance)) for name in store_files(settings))
