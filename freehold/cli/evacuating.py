"""What the commands about dead hosts do: fence, evacuate, unfence, let go of copies."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from freehold.cli.client import Client
from freehold.cli.credentials import read_admin
from freehold.cli.ending import run
from freehold.runtime.clock import SystemClock

LOOK_AGAIN_S: Final = 2.0
UNDER_WAY: Final = ("leaving", "being built")


def fence(state: Path, host: str, evidence: str, *, force: bool) -> None:
    """Vouches that a host is off."""
    run(_fence(state, host, evidence, force=force))


def unfence(state: Path, host: str) -> None:
    """Lets a host in again."""
    run(_unfence(state, host))


def evacuate(state: Path, host: str, guests: tuple[str, ...], *, dry_run: bool, wait: bool) -> None:
    """Shows what would be lost, or has the guests of a fenced host built elsewhere."""
    run(_evacuate(state, host, guests, dry_run=dry_run, wait=wait))


def show(state: Path, host: str) -> None:
    """Prints how far the guests of a host have come."""
    run(_show(state, host))


def discard(state: Path, host: str, guest: str) -> None:
    """Has a host let go of its copy of a guest."""
    run(_discard(state, host, guest))


async def _fence(state: Path, host: str, evidence: str, *, force: bool) -> None:
    async with Client(read_admin(state)) as client:
        told = await client.put_json(_path(host, "fence"), {"fence": {"evidence": evidence, "force": force}})
    print(f"{told['host']['name']} is fenced: it gets no guests, and nobody heeds it, until it is let in again")
    print(f"its guests are where they were; see what can be moved: freehold evacuate {host} --dry-run")


async def _unfence(state: Path, host: str) -> None:
    async with Client(read_admin(state)) as client:
        told = await client.delete(_path(host, "fence"))
    print(f"{told['host']['name']} is let in again: guests that hadn't left it go on there")


async def _evacuate(state: Path, host: str, guests: tuple[str, ...], *, dry_run: bool, wait: bool) -> None:
    body = {"evacuation": {"dry_run": dry_run, "guests": list(guests)}}
    async with Client(read_admin(state)) as client:
        told = (await client.post(_path(host, "evacuation"), body))["evacuation"]
        for guest in told["guests"]:
            print("\n".join(lines(guest, dry_run=dry_run)))
        if not told["guests"]:
            print(f"{told['host']} has no guests, by the ledger")
        if told["more"]:
            print("there are more: say it again when these have gone")
        if wait and not dry_run:
            await _wait(client, host, {guest["id"] for guest in told["guests"] if guest["request"]})


async def _wait(client: Client, host: str, guests: set[str]) -> None:
    while True:
        rows = (await client.get(_path(host, "evacuation")))["evacuation"]["guests"]
        if not any(row["stands"] in UNDER_WAY for row in rows if row["id"] in guests):
            for row in rows:
                if row["id"] in guests:
                    print(line(row))
            return
        await SystemClock().sleep(LOOK_AGAIN_S)


async def _show(state: Path, host: str) -> None:
    async with Client(read_admin(state)) as client:
        told = (await client.get(_path(host, "evacuation")))["evacuation"]
    for row in told["guests"]:
        print(line(row))
    if not told["guests"]:
        print(f"{told['host']} has no guests, and none has left it")


async def _discard(state: Path, host: str, guest: str) -> None:
    async with Client(read_admin(state)) as client:
        await client.delete(_path(host, f"copies/{quote(guest, safe='')}"))
    print(f"{host} removes its copy of guest {guest}, with its disk")


def lines(guest: dict[str, Any], *, dry_run: bool) -> list[str]:
    """What is said of a guest that may leave."""
    head = f"{guest['id']}  {guest['name']}"
    if guest["refused"]:
        return [f"{head}: can't be evacuated. {guest['refused']}"]
    will = "would be" if dry_run else "is being"
    told = [f"{head}: {will} built from its image elsewhere (known from: {guest['known_from']})"]
    if guest["request"]:
        told.append(f"    request {guest['request']}")
    return told + [f"    lost: {what}" for what in guest["lost"]]


def line(row: dict[str, Any]) -> str:
    """How far a guest has come."""
    where = f" on {row['host']}" if row["host"] else ""
    why = f": {row['why']}" if row["why"] else ""
    return f"{row['id']}  {row['name']}  {row['stands']}{where}{why}"


def _path(host: str, what: str) -> str:
    return f"/freehold/v1/hosts/{quote(host, safe='')}/{what}"
