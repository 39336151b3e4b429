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
_REACHABLE: Final = 0x02
_PERMANENT: Final = 0x80
_NTF_SELF: Final = 0x02
_NTF_MASTER: Final = 0x04
_NTF_STICKY: Final = 0x40
"""A frame that comes with the MAC elsewhere doesn't move the entry."""
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
            own = {"state": _NOARP, "flags": _NTF_MASTER | _NTF_STICKY}
            await self._netlink.fdb("replace", ifindex=tap.index, lladdr=mac, **own)
        await self._netlink.link("set", index=tap.index, state="up")

    async def tunnel(self, name: str, network: str, *, segment: int, address: str, port: int) -> int:
        """The index of a network's VXLAN device, made if need be, and made anew if it is another than is asked for.

        Raises Conflict if something else on this machine has this id on this UDP port.
        """
        wanted = {"vxlan_id": segment, "vxlan_local": address, "vxlan_port": port, "vxlan_learning": 0}
        try:
            return await self._made(name, network, "vxlan", wanted)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
            raise Conflict(
                f"VXLAN id {segment} on UDP port {port} belongs to something else on this machine: two hosts of one "
                "cluster, or other software on the same port, can't share its underlay."
            ) from error

    async def vlan(self, name: str, network: str, *, interface: str, number: int) -> int:
        """The index of a link to a VLAN on an interface, made if need be. Raises Conflict if it can't be."""
        parent = await self._interface(interface)
        await self._netlink.link("set", index=parent, state="up")
        try:
            return await self._made(name, network, "vlan", {"link": parent, "vlan_id": number})
        except NetlinkError as error:
            raise Conflict(
                f"VLAN {number} can't be made on {interface} ({error}): it is in use, or the kernel has no VLANs "
                "(`modprobe 8021q`)."
            ) from error

    async def _made(self, name: str, network: str, kind: str, wanted: dict[str, Any]) -> int:
        if await self.find(name) is not None:
            message = (await self._netlink.link("get", ifname=name))[0]
            found = {key: message.get(key if key == "link" else ("linkinfo", "data", key)) for key in wanted}
            if found != wanted:
                await self.delete(name)
        if await self.find(name) is None:
            await self._netlink.link("add", ifname=name, kind=kind, **wanted)
        return (await self._claimed(name, network)).index

    async def interface(self, name: str, bridge: int) -> int:
        """The index of the machine's own interface, which is in no other bridge. Raises Conflict."""
        index = await self._interface(name)
        master = (await self._netlink.link("get", index=index))[0].get("master")
        if master not in (None, 0, bridge):
            raise Conflict(f"The interface {name} is in another bridge: a flat network has its interface to itself.")
        return index

    async def _interface(self, name: str) -> int:
        link = await self.find(name)
        if link is None:
            raise Conflict(f"This machine has no interface {name} any more.")
        return link.index

    async def join_edge(self, index: int, *, bridge: int, mtu: int | None, learning: bool) -> None:
        """Puts a link that leads beyond the machine into a bridge, which learns MACs there or not. Sets it up."""
        more = {} if mtu is None else {"mtu": mtu}
        await self._netlink.link("set", index=index, master=bridge, **more)
        await self._netlink.brport("set", index=index, unicast_flood=1, learning=int(learning))
        await self._netlink.link("set", index=index, state="up")

    async def release(self, bridge: int, but: int) -> None:
        """Takes the machine's own interfaces out of a bridge, but for one."""
        async for message in await self._netlink.get_links():
            ours = names.aliased(self._host, message.get("ifalias")) is not None
            if message.get("master") == bridge and not ours and message["index"] != but:
                await self._netlink.link("set", index=message["index"], master=0)

    async def remote_entries(self, index: int) -> set[tuple[str, str]]:
        """Where a VXLAN device sends what: (MAC, address)."""
        found = set()
        async for message in await self._netlink.fdb("dump", ifindex=index):
            if message["ifindex"] == index and message.get("dst") is not None:
                found.add((str(message.get("lladdr")), str(message.get("dst"))))
        return found

    async def put_remote(self, index: int, mac: str, address: str, *, one_of_many: bool) -> None:
        """Makes a VXLAN device send frames for `mac` to `address`: beside others, or in place of another."""
        if one_of_many:
            await self._netlink.fdb(
                "append", ifindex=index, lladdr=mac, dst=address, flags=_NTF_SELF, state=_PERMANENT | _NOARP
            )
            return
        # The one state that the bridge takes for a static entry and the VXLAN device for one at all.
        flags = _NTF_SELF | _NTF_MASTER | _NTF_STICKY
        await self._netlink.fdb(
            "replace", ifindex=index, lladdr=mac, dst=address, flags=flags, state=_NOARP | _REACHABLE
        )

    async def drop_remote(self, index: int, mac: str, address: str) -> None:
        """Takes an entry out, if it is there."""
        # One flag at a time: an entry may be in one table only, after a crash in between.
        for flags in (_NTF_MASTER, _NTF_SELF):
            try:
                await self._netlink.fdb("del", ifindex=index, lladdr=mac, dst=address, flags=flags)
            except NetlinkError as error:
                if error.code not in _ABSENT:
                    raise

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
