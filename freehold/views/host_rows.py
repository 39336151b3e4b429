"""Hosts as they stand in the scheduler's file: first what its columns need, then the record as it was told."""

from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.host import Capacity, Host
from freehold.vocabulary.trait import qualities

_HEAD: Final = Struct("<iiii?HI")
"""Row; vCPUs, MiB and GiB free; whether it takes guests; bytes of its cluster's name and of its qualities' names, which
follow.
"""


class HostRow(NamedTuple):
    """What the columns need of a host. `row`: the number of its row."""

    row: int
    vcpus: int
    ram_mib: int
    disk_gib: int
    enabled: bool
    cluster: str
    qualities: frozenset[str]


def kept(row: int, free: Capacity, host: Host, told: bytes) -> bytes:
    """A host as it is kept. `told`: its record."""
    cluster, names = host.cluster.encode(), _written(qualities(host))
    head = _HEAD.pack(row, free.vcpus, free.ram_mib, free.disk_gib, host.enabled, len(cluster), len(names))
    return head + cluster + names + told


def read(value: bytes) -> HostRow:
    """What the columns need of a host that is kept so."""
    row, vcpus, ram_mib, disk_gib, enabled, cluster_bytes, names_bytes = _HEAD.unpack_from(value)
    first = _HEAD.size + cluster_bytes
    names = _names(value[first : first + names_bytes])
    return HostRow(row, vcpus, ram_mib, disk_gib, enabled, value[_HEAD.size : first].decode(), names)


def record(value: bytes) -> bytes:
    """Its record."""
    cluster_bytes, names_bytes = _HEAD.unpack_from(value)[-2:]
    return value[_HEAD.size + cluster_bytes + names_bytes :]


@lru_cache(maxsize=1024)
def _written(names: frozenset[str]) -> bytes:
    return encode(sorted(names))


@lru_cache(maxsize=1024)
def _names(written: bytes) -> frozenset[str]:
    """Hosts that are alike have one set."""
    return frozenset(decode(written, tuple[str, ...]))
