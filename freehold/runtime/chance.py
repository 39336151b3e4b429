"""Randomness, as it is handed to everybody who needs it."""

import random
import secrets
from typing import Protocol

from freehold.vocabulary.ids import request_urn, uuid_text


class Chance(Protocol):
    """Where random bytes come from."""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes."""

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`, for jitter."""


class SystemChance:
    """The operating system's randomness: fit for keys."""

    def bytes(self, count: int) -> bytes:
        """See Chance."""
        return secrets.token_bytes(count)

    def uniform(self, low: float, high: float) -> float:
        """See Chance."""
        return random.uniform(low, high)


class SeededChance:
    """The same for the same seed. For tests and the simulation, never for keys that protect anything."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def bytes(self, count: int) -> bytes:
        """See Chance."""
        return self._random.randbytes(count)

    def uniform(self, low: float, high: float) -> float:
        """See Chance."""
        return self._random.uniform(low, high)


def new_id(chance: Chance) -> str:
    """A new UUID text."""
    return uuid_text(chance.bytes(16))


def new_urn(chance: Chance) -> str:
    """A new request URN."""
    return request_urn(new_id(chance))
