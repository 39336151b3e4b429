"""Which slot of the machine a network has: its conntrack zone, and the two addresses of its router's uplink.

The addresses are link-local, because nothing else on a machine routes them: carrier-grade ranges belong to VPNs that
drop strangers. Guests never see them.
"""

import hashlib
from collections.abc import Container
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from freehold.vocabulary.errors import Broken

SLOTS: Final = 16_383
"""Slots 1 … SLOTS: pairs in 169.254.0.0/17, which leaves out the metadata address in the upper half."""

_FIRST = IPv4Address("169.254.0.0")


class Pair(NamedTuple):
    """The two ends of an uplink, a /31."""

    machine: str
    router: str


def pair(slot: int) -> Pair:
    """The addresses of a slot."""
    return Pair(str(_FIRST + 2 * slot), str(_FIRST + 2 * slot + 1))


def choose(host: str, network: str, taken: Container[int]) -> int:
    """A free slot, most times the same one for the same network. Raises Broken if none is left."""
    start = int.from_bytes(hashlib.blake2s(f"{host}/{network}".encode()).digest()[:8])
    for step in range(SLOTS):
        slot = 1 + (start + step) % SLOTS
        if slot not in taken:
            return slot
    raise Broken(f"All {SLOTS} network slots of this machine are taken; unplug networks that nobody needs.")


def slot_of(address: str) -> int | None:
    """The slot that an address on this machine belongs to, if it is an uplink's."""
    offset = int(IPv4Address(address)) - int(_FIRST)
    return offset // 2 if 2 <= offset < 2 * (SLOTS + 1) else None
