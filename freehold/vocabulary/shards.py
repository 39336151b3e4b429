"""The registrar in shards: which of them has what.

A project's quota, admissions, requests, deeds, server groups and idempotency keys are kept by its own shard. The
identity shard keeps, beside its own projects', what belongs to none: people, roles, flavors, keys.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

IDENTITY_SHARD: Final = 0
SHARDS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Shards:
    """How many there are. It is chosen when a cloud is made, and stays."""

    count: int = 1

    def of(self, project: str) -> int:
        """The shard of a project: the same in every process and every release."""
        digest = blake2b(project.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count

    def all(self) -> range:
        """Every shard."""
        return range(self.count)


ONE_SHARD: Final = Shards()
