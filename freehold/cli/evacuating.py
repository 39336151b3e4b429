"""What the commands about dead hosts do: fence, evacuate, unfence, let go of copies."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from freehold.cli.client import Client
from freehold.cli.credentials import read_admin
from freehold.cli.ending import run
from freehold.cli.from_backup import Kept, kept_of, record
from freehold.cli.restore import Source
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.units import iso_millis, unix_ms

LOOK_AGAIN_S: Final = 2.0
UNDER_WAY: Final = ("leaving", "being built")
RECORDS_BYTES_MAX: Final = 700_000
"""Of what one call says of guests from a backup: the API takes bodies of 1 MiB."""
WITHOUT: Final = {
    "view": "not in the backup: as its host told of it last, without user data and password",
    "ledger": "not in the backup, and its host isn't known to this API process: as it was asked for at first",
}


def fence(state: Path, host: str, evidence: str, *, force: bool) -> None:
    """Vouches that a host is off."""
    run(_fence(state, host, evidence, force=force))


def unfence(state: Path, host: str) -> None:
    """Lets a host in again."""
    run(_unfence(state, host))


def evacuate(
    state: Path, host: str, guests: tuple[str, ...], backup: Source | None = None, *, dry_run: bool, wait: bool
) -> None:
    """Shows what would be lost, or has the guests of a fenced host built elsewhere. `backup`: where that of the host's
    store is.
    """
    run(_evacuate(state, host, guests, backup, dry_run=dry_run, wait=wait))


def show(state: Path, host: str) -> None:
    """Prints how far the guests of a host have come."""
    run(_show(state, host))


def discard(state: Path, host: str, guest: str) -> None:
    """Has a host let go of its copy of a guest."""
    run(_discard(state, host, guest))


async def _fence(state: Path, host: str, evidence: str, *, force: bool) -> None:
    async with Client(read_admin(state)) as client:
        seen = (await client.get(_path(host, "fence")))["seen"]
        order = {"evidence": evidence, "force": force, "seen": seen}
        told = await client.put_json(_path(host, "fence"), {"fence": order})
    print(f"{told['host']['name']} is fenced: it gets no guests, and nobody heeds it, until it is let in again")
    print(f"its guests are where they were; see what can be moved: freehold evacuate {host} --dry-run")


async def _unfence(state: Path, host: str) -> None:
    async with Client(read_admin(state)) as client:
        seen = (await client.get(_path(host, "fence")))["seen"]
        told = await client.delete(f"{_path(host, 'fence')}?seen={quote(seen)}")
    print(f"{told['host']['name']} is let in again: guests that hadn't left it go on there")


async def _evacuate(
    state: Path, host: str, guests: tuple[str, ...], backup: Source | None = None, *, dry_run: bool, wait: bool
) -> None:
    async with Client(read_admin(state)) as client:
        told = await (
            _asked(client, host, {"dry_run": dry_run, "guests": list(guests)})
            if backup is None
            else _asked_with(client, host, guests, backup, dry_run=dry_run)
        )
        for guest in told["guests"]:
            print("\n".join(lines(guest, dry_run=dry_run, backup=backup is not None)))
        if not told["guests"]:
            print(f"{told['host']} has no guests, by the ledger")
        if told["more"]:
            print("there are more: say it again when these have gone")
        if wait and not dry_run:
            await _wait(client, host, {guest["id"] for guest in told["guests"] if guest["request"]})


async def _asked(client: Client, host: str, body: dict[str, Any]) -> dict[str, Any]:
    return dict((await client.post(_path(host, "evacuation"), {"evacuation": body}))["evacuation"])


async def _asked_with(
    client: Client, host: str, guests: tuple[str, ...], backup: Source, *, dry_run: bool
) -> dict[str, Any]:
    """The same, with what the backup has of the guests: it is read whole before any of them is asked to leave."""
    told = await _asked(client, host, {"dry_run": True, "guests": list(guests)})
    ids = [guest["id"] for guest in told["guests"]]
    kept = await kept_of(backup, told["host_id"], told["host"])
    print(_heading(told["host"], kept, ids))
    rows: list[dict[str, Any]] = []
    for some, records in batches(ids, kept):
        body = {"dry_run": dry_run, "guests": some, "records": records}
        rows += (await _asked(client, told["host_id"], body))["guests"]
    return told | {"guests": rows}


def batches(ids: list[str], kept: Kept) -> Iterator[tuple[list[str], list[dict[str, Any]]]]:
    """Guests, and what the backup has of them, in portions that the API takes."""
    some: list[str] = []
    records: list[dict[str, Any]] = []
    size = 0
    for guest in ids:
        known = record(kept.guests[guest]) if guest in kept.guests else None
        more = 0 if known is None else len(json.dumps(known))
        if some and size + more > RECORDS_BYTES_MAX:
            yield some, records
            some, records, size = [], [], 0
        some, size = [*some, guest], size + more
        records = records if known is None else [*records, known]
    if some:
        yield some, records


def _heading(host: str, kept: Kept, ids: list[str]) -> str:
    found, there = kept.found, sum(guest in kept.guests for guest in ids)
    old = ago((SystemClock().unix_ms() - unix_ms(found.time)) // 1000)
    told = f"the backup of {host} is as of {iso_millis(found.time)}, {old}: it has {there} of these {len(ids)} guests"
    return f"{told}\n{found.note}" if found.note else told


def ago(seconds: int) -> str:
    """How long ago something was, roughly."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{max(seconds, 0)} seconds ago"


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


def lines(guest: dict[str, Any], *, dry_run: bool, backup: bool = False) -> list[str]:
    """What is said of a guest that may leave."""
    head = f"{guest['id']}  {guest['name']}"
    if guest["refused"]:
        return [f"{head}: can't be evacuated. {guest['refused']}"]
    will = "would be" if dry_run else "is being"
    told = [f"{head}: {will} built from its image elsewhere (known from: {guest['known_from']})"]
    if guest["request"]:
        told.append(f"    request {guest['request']}")
    if backup and guest["known_from"] in WITHOUT:
        told.append(f"    {WITHOUT[guest['known_from']]}")
    return told + [f"    lost: {what}" for what in guest["lost"]]


def line(row: dict[str, Any]) -> str:
    """How far a guest has come."""
    where = f" on {row['host']}" if row["host"] else ""
    why = f": {row['why']}" if row["why"] else ""
    return f"{row['id']}  {row['name']}  {row['stands']}{where}{why}"


def _path(host: str, what: str) -> str:
    return f"/freehold/v1/hosts/{quote(host, safe='')}/{what}"
