"""The machine's own links: bridges, taps, the machine's ends of the routers' links. By netlink, on the event loop."""

import errno
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any, Final

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from freehold.drivers.fabric import names
from freehold.drivers.fabric.namespaces import set_sysctl
from freehold.vocabulary.errors import Conflict

_MAIN_TABLE: Final = 254
_NOARP: Final = 0x40
_NTF_MASTER: Final = 0x04
_ABSENT: Final = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH})


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is."""

    name: str
    index: int
    alias: str | None


class Links:
    """Makes and deletes the links of one host. It changes a link only if its alias says that it is this host's."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._netlink: Any = AsyncIPRoute()

    async def close(self) -> None:
        """Closes the netlink socket."""
        self._netlink.close()

    async def find(self, name: str) -> Link | None:
        """The link of that name."""
        try:
            found = await self._netlink.link("get", ifname=name)
        except NetlinkError as error:
            if error.code in _ABSENT:
                return None
            raise
        return _link(found[0])

    async def ours(self) -> dict[str, str]:
        """The names of this host's links, and the port or network that each is for."""
        found = {}
        async for message in await self._netlink.get_links():
            identifier = names.aliased(self._host, message.get("ifalias"))
            if identifier is not None:
                found[message.get("ifname")] = identifier
        return found

    async def delete(self, name: str) -> None:
        """Deletes a link of ours; one that a crash left without alias counts as ours, because its name does."""
        link = await self.find(name)
        if link is None or (link.alias and names.aliased(self._host, link.alias) is None):
            return
        try:
            await self._netlink.link("del", index=link.index)
        except NetlinkError as error:
            if error.code not in _ABSENT:
                raise

    async def claim(self, link: Link, identifier: str) -> None:
        """Marks a link as this host's. Raises Conflict if it is somebody else's."""
        alias = names.alias(self._host, identifier)
        if link.alias == alias:
            return
        if link.alias:
            raise Conflict(
                f"The interface {link.name} belongs to {link.alias}; two hosts on one machine can't both have it."
            )
        await self._netlink.link("set", index=link.index, ifalias=alias)

    async def bridge(self, name: str, network: str, mtu: int) -> int:
        """The index of a network's bridge, made if need be, and up."""
        if await self.find(name) is None:
            await self._netlink.link(
                "add", ifname=name, kind="bridge", br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0
            )
        link = await self._claimed(name, network)
        await self._netlink.link("set", index=link.index, mtu=mtu, state="up")
        return link.index

    async def router_link(self, name: str, network: str, *, inside: str, namespace: str) -> int:
        """The index of the machine's end of a link into a router, made if need be; `inside` names the other end."""
        if await self.find(name) is None:
            await self._netlink.link("add", ifname=name, kind="veth", peer={"ifname": inside, "net_ns_fd": namespace})
        return (await self._claimed(name, network)).index

    async def raise_link(self, index: int, *, mtu: int, master: int | None = None) -> None:
        """Sets a link up, in a bridge if `master` is one."""
        more = {} if master is None else {"master": master}
        await self._netlink.link("set", index=index, mtu=mtu, state="up", **more)

    async def address(self, index: int, address: str, prefix: int) -> None:
        """Gives a link an address."""
        await self._netlink.addr("replace", index=index, address=address, prefixlen=prefix)

    async def join_tap(self, tap: Link, *, bridge: int, mtu: int, mac: str | None) -> None:
        """Sets a tap up in its network's bridge. With `mac`, only this MAC is on it, and it gets only frames for it."""
        await self._netlink.link("set", index=tap.index, mtu=mtu, master=bridge)
        learning = 0 if mac is not None else 1
        await self._netlink.brport("set", index=tap.index, unicast_flood=learning, learning=learning)
        if mac is not None:
            await self._netlink.fdb("replace", ifindex=tap.index, lladdr=mac, state=_NOARP, flags=_NTF_MASTER)
        await self._netlink.link("set", index=tap.index, state="up")

    async def check_routes(self, cidrs: Iterable[str], uplink: str) -> None:
        """Raises Conflict if the machine routes any of these ranges elsewhere than through `uplink`."""
        link = await self.find(uplink)
        wanted = [IPv4Network(cidr) for cidr in cidrs]
        async for network, index in self._routes():
            clash = next((one for one in wanted if one.overlaps(network)), None)
            if clash is not None and (link is None or index != link.index):
                raise Conflict(
                    f"This machine has a route to {network} already, so guests on {clash} couldn't be reached from it: "
                    "give the network another range, or don't make it reachable."
                )

    async def route(self, cidr: str, *, index: int, gateway: str) -> None:
        """Routes a range through a link."""
        await self._netlink.route("replace", dst=cidr, gateway=gateway, oif=index)

    async def addresses(self, prefix: str) -> list[str]:
        """The IPv4 addresses on the machine's links whose names begin with `prefix`."""
        found = []
        async for message in await self._netlink.get_addr(family=2):
            if (message.get("label") or "").startswith(prefix):
                found.append(str(message.get("address")))
        return found

    async def _routes(self) -> AsyncIterator[tuple[IPv4Network, int]]:
        async for message in await self._netlink.get_routes(family=2, table=_MAIN_TABLE):
            if message.get("dst") is not None and message.get("table") == _MAIN_TABLE:
                yield IPv4Network(f"{message.get('dst')}/{message['dst_len']}"), message.get("oif") or 0

    async def _claimed(self, name: str, identifier: str) -> Link:
        link = await self.find(name)
        if link is None:
            raise Conflict(f"The interface {name} went away while it was being set up.")
        await self.claim(link, identifier)
        no_ipv6(name)
        return link


def no_ipv6(name: str) -> None:
    """Switches IPv6 off on a link: nothing filters it there."""
    set_sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "1")


def _link(message: Any) -> Link:
    return Link(message.get("ifname"), message["index"], message.get("ifalias"))
