"""Real guests on real hosts: a network goes on from host to host within its tenant, and a guest that lies is silent."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from lab.cloud import Lab
from lab.layout import CLUSTERS
from lab.tests.person import Person, admin, demo_image, until

HYPERVISOR = "qemu"
BOOT_S = 400.0
"""Ten guests at once, on a machine without KVM and with two processors."""
SEEN_S = 120.0
CIDR = "10.77.0.0/24"
SHARED, OTHER, TARGET = "10.77.0.50", "10.77.0.60", "10.77.0.70"
"""An address that both tenants have, one that only the first has, and one that somebody pretends to have."""

LOOKS = """#!/bin/sh
round=0
while :; do
  for to in {targets}; do
    ping -c 1 -W 2 $to >/dev/null 2>&1 && echo "PING $to" >/dev/ttyS0
    awk -v to="$to" '$1 == to {{print "AT " to " " $4}}' /proc/net/arp >/dev/ttyS0
    echo "HTTP $to $(timeout 3 wget -q -O - http://$to/ 2>/dev/null)" >/dev/ttyS0
  done
  round=$((round + 1))
  echo "ROUND $round" >/dev/ttyS0
  sleep 1
done
"""

LIES = """#!/bin/sh
card=$(ls /sys/class/net | grep -v lo | head -n 1)
mac=$(cat /sys/class/net/$card/address)
address=$(ip -4 -o addr show dev $card | sed 's/.*inet \\([0-9.]*\\).*/\\1/')
try() {{
  ping -c 3 -W 1 {target} >/dev/null 2>&1 && echo "LIE $1 heard" >/dev/ttyS0 || echo "LIE $1 silent" >/dev/ttyS0
}}
try none
ip addr del $address/24 dev $card; ip addr add 10.77.0.99/24 dev $card; ip neigh flush dev $card
try address
ip addr del 10.77.0.99/24 dev $card; ip addr add $address/24 dev $card
ip link set $card down; ip link set $card address 02:aa:aa:aa:aa:aa; ip link set $card up; ip neigh flush dev $card
try mac
ip link set $card down; ip link set $card address $mac; ip link set $card up; ip neigh flush dev $card
ip addr add {stolen}/32 dev $card
arping -c 3 -U -I $card {stolen} >/dev/null 2>&1 && arping -c 3 -A -I $card {stolen} >/dev/null 2>&1 &&
  echo "LIE arp told" >/dev/ttyS0
ip addr del {stolen}/32 dev $card
try again
echo "LIE over" >/dev/ttyS0
"""


@dataclass
class Tenants:
    """Two projects with the same addresses in a cluster, and what each has there."""

    first: Person
    second: Person
    networks: dict[tuple[str, str], str]
    image: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenants(lab: Lab) -> AsyncIterator[Tenants]:
    async with admin(lab) as operator:
        image = await operator.image(demo_image())
        first, second = await operator.newcomer("first"), await operator.newcomer("second")
        networks = {}
        for name, person in (("first", first), ("second", second)):
            for cluster in CLUSTERS:
                networks[name, cluster] = await person.network(f"{name}-{cluster}", cluster, CIDR)
            await open_up(person)
        yield Tenants(first, second, networks, image)


async def open_up(person: Person) -> None:
    """Lets pings and HTTP in, from anywhere."""
    rules: list[dict[str, Any]] = [
        {"protocol": "icmp"},
        {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80},
    ]
    for group in (await person.well("GET", "/network/v2.0/security-groups?name=default"))["security_groups"]:
        for rule in rules:
            asked = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4"} | rule
            await person.well("POST", "/network/v2.0/security-group-rules", {"security_group_rule": asked})


async def apart(person: Person, name: str) -> str:
    """A group whose guests are each on a host of their own."""
    asked = {"name": name, "policy": "anti-affinity"}
    return str(
        (await person.well("POST", "/compute/v2.1/os-server-groups", {"server_group": asked}))["server_group"]["id"]
    )


@pytest.mark.timeout(1500)
@pytest.mark.asyncio(loop_scope="module")
async def test_guests_of_a_tenant_reach_one_another_across_hosts_and_no_other_tenants(tenants: Tenants) -> None:
    seen: dict[str, tuple[Person, str]] = {}
    for cluster in CLUSTERS:
        for name, person in (("first", tenants.first), ("second", tenants.second)):
            group, network = await apart(person, f"apart-{cluster}"), tenants.networks[name, cluster]
            looks = LOOKS.format(targets=f"{SHARED} {OTHER}")
            at = [{"uuid": network, "fixed_ip": SHARED}]
            seen[f"{name}-{cluster}-there"] = (
                person,
                await person.create(f"{name}-{cluster}-there", tenants.image, at, group=group),
            )
            if name == "first":
                other = [{"uuid": network, "fixed_ip": OTHER}]
                guest = await person.create(f"{name}-{cluster}-other", tenants.image, other, group=group)
                seen[f"{name}-{cluster}-other"] = (person, guest)
            guest = await person.create(
                f"{name}-{cluster}-looks", tenants.image, [{"uuid": network}], looks, group=group
            )
            seen[f"{name}-{cluster}-looks"] = (person, guest)
    hosts = {name: (await who.becomes(guest, "ACTIVE", BOOT_S))["hostId"] for name, (who, guest) in seen.items()}
    for cluster in CLUSTERS:
        assert hosts[f"first-{cluster}-there"] != hosts[f"first-{cluster}-looks"]
        for name in ("first", "second"):
            who, guest = seen[f"{name}-{cluster}-looks"]
            await until(partial(has_seen, who, guest, f"{name}-{cluster}-there"), BOOT_S)
        who, guest = seen[f"first-{cluster}-looks"]
        await until(partial(says, who, guest, f"PING {OTHER}"), BOOT_S)
        assert "hello from second" not in await who.says(guest)
        said = await rounds(*seen[f"second-{cluster}-looks"])
        assert f"PING {OTHER}" not in said and "hello from first" not in said


async def has_seen(person: Person, guest: str, name: str) -> bool:
    said = await person.says(guest)
    return f"PING {SHARED}" in said and f"HTTP {SHARED} hello from {name}" in said


async def rounds(person: Person, guest: str) -> str:
    """What a guest says after it has looked at everything at least twice more."""
    said = [await person.says(guest)]
    before = last_round(said[0])

    async def so() -> bool:
        said.append(await person.says(guest))
        return last_round(said[-1]) >= before + 2

    await until(so, SEEN_S)
    return said[-1]


def last_round(said: str) -> int:
    return max((int(number) for number in re.findall(r"ROUND (\d+)", said)), default=0)


@pytest.mark.timeout(900)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_guest_that_lies_about_who_it_is_is_silent(tenants: Tenants) -> None:
    person, network = tenants.first, tenants.networks["first", "c1"]
    group, at = await apart(person, "liars"), [{"uuid": network, "fixed_ip": TARGET}]
    target = await person.create("target", tenants.image, at, group=group)
    looks = LOOKS.format(targets=TARGET)
    watcher = await person.create("watcher", tenants.image, [{"uuid": network}], looks, group=group)
    (mac,) = {port["OS-EXT-IPS-MAC:mac_addr"] for port in await addresses(person, target)}
    await until(lambda: says(person, watcher, f"HTTP {TARGET} hello from target"), BOOT_S)
    script = LIES.format(target=TARGET, stolen=TARGET)
    liar = await person.create("liar", tenants.image, [{"uuid": network}], script, group=group)
    await person.becomes(liar, "ACTIVE", BOOT_S)

    await until(lambda: says(person, liar, "LIE over"), BOOT_S)
    heard = dict(re.findall(r"LIE (\w+) (heard|silent|told)", await person.says(liar)))
    assert heard == {"none": "heard", "address": "silent", "mac": "silent", "arp": "told", "again": "heard"}
    seen = await rounds(person, watcher)
    assert set(re.findall(rf"AT {TARGET} ([0-9a-f:]+)", seen)) == {mac}, "nobody else was taken for the target"
    await asyncio.gather(*(person.delete(guest) for guest in (target, watcher, liar)))


async def addresses(person: Person, guest: str) -> list[dict[str, str]]:
    shown = await person.becomes(guest, "ACTIVE", BOOT_S)
    return [address for network in shown["addresses"].values() for address in network]


async def says(person: Person, guest: str, words: str) -> bool:
    return words in await person.says(guest)
