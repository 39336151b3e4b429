"""Hosts as they stand in the scheduler's file: what its columns need of all of them, apart from the records, of which
few are read.

    rows    store  -> row; vCPUs, MiB and GiB free; whether it takes guests; digest of its qualities; its cluster
    hosts   store  -> its record, as it was told
"""

from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

from freehold.views.mapped import Kept
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.host import Capacity, Host
from freehold.vocabulary.trait import qualities

TABLES: Final = ("rows", "hosts")
DIGEST_BYTES: Final = 8
_HEAD: Final = Struct(f"<iiii?{DIGEST_BYTES}s")
"""The cluster's name follows."""


class HostRow(NamedTuple):
    """What the columns need of a host. `row`: the number of its row."""

    row: int
    vcpus: int
    ram_mib: int
    disk_gib: int
    enabled: bool
    cluster: str
    qualities: frozenset[str]
    store: str


class HostRows:
    """All that are kept."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def put(self, store: str, row: int, free: Capacity, host: Host, told: bytes) -> None:
        """Keeps a host. `told`: its record."""
        digest = _digest(qualities(host))
        head = _HEAD.pack(row, free.vcpus, free.ram_mib, free.disk_gib, host.enabled, digest)
        self._kept.put("rows", store, head + host.cluster.encode())
        self._kept.put("hosts", store, told)

    def host(self, store: str) -> Host:
        """A host's record. It is kept."""
        told = self._kept.get("hosts", store)
        assert told is not None, store
        return decode(told, Host)

    def every(self) -> list[HostRow]:
        """All of them, by row. Of hosts that are alike one record is read."""
        alike: dict[bytes, frozenset[str]] = {}
        found = []
        for store, value in self._kept.under("rows"):
            row, vcpus, ram_mib, disk_gib, enabled, digest = _HEAD.unpack_from(value)
            names = alike.get(digest)
            if names is None:
                names = alike[digest] = qualities(self.host(store))
            cluster = value[_HEAD.size :].decode()
            found.append(HostRow(row, vcpus, ram_mib, disk_gib, enabled, cluster, names, store))
        return sorted(found)


@lru_cache(maxsize=1024)
def _digest(names: frozenset[str]) -> bytes:
    return blake2b(encode(sorted(names)), digest_size=DIGEST_BYTES).digest()
