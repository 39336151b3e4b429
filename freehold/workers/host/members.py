"""Who is in each security group of a cluster, port by port, and all of it for the fabric.

Groups have thousands of members. So one more costs no look at the others: the addresses that were told before are
taken on as they are.
"""

from collections import Counter
from collections.abc import Sequence

from freehold.drivers.fabric.interface import Members


class GroupMembers:
    """The addresses of one group's ports. What it says is the same object until that changes."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._ports: dict[str, Sequence[str]] = {}
        self._held: Counter[str] = Counter()
        """How many ports have each address, in the order in which they came."""
        self._told: Members | None = None
        self._fresh: list[str] = []
        """What has come since."""

    def put(self, port: str, addresses: Sequence[str]) -> None:
        """A port with these addresses is in the group."""
        self.drop(port)
        self._ports[port] = addresses
        for address in addresses:
            if not self._held[address]:
                self._fresh.append(address)
            self._held[address] += 1

    def drop(self, port: str) -> None:
        """A port isn't in it, or no more."""
        for address in self._ports.pop(port, ()):
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]
                self._told = None

    def told(self) -> Members:
        """All of them."""
        if self._told is None:
            self._told = Members(group=self._group, addresses=tuple(self._held))
        elif self._fresh:
            self._told = Members(group=self._group, addresses=(*self._told.addresses, *self._fresh))
        self._fresh = []
        return self._told

    def __bool__(self) -> bool:
        return bool(self._ports)
