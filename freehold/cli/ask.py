"""Asking a running cloud, over HTTP, as the admin of its openrc."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from freehold.cli.client import Client
from freehold.cli.credentials import read_admin
from freehold.cli.ending import run

_DOUBTS: Final = {
    "over capacity": "its guests take more than it has registered",
    "understated": "it says that less is in use than its guests take",
    "no deed": "tells of guests that the ledger hasn't given it: {count}; they are shown nowhere",
    "not leased": "guests with addresses that weren't leased to them: {count}; those are shown nowhere",
}


def status(state: Path) -> None:
    """Prints hosts and owners."""
    run(_status(state))


def story(state: Path, about: str) -> None:
    """Prints what happened."""
    run(_story(state, about))


def why(state: Path, urn: str) -> None:
    """Prints how a host is chosen for a request's guest."""
    run(_why(state, urn))


async def _why(state: Path, urn: str) -> None:
    async with Client(read_admin(state)) as client:
        told = (await client.get(f"/freehold/v1/requests/{quote(urn, safe='')}/why"))["why"]
    for line in reasons(told):
        print(line)


def reasons(told: dict[str, Any]) -> list[str]:
    """How a host is chosen for a guest, for a person."""
    given = f"given to host {told['host']}" if told["host"] else "given to no host"
    return [
        f"guest {told['guest']}: {given}",
        *(f"  a host refused it: {refusal}" for refusal in told["refusals"]),
        f"now, of {told['hosts']} hosts:",
        *(f"  {one['hosts']:7} {one['means']}" for one in told["left_out"] if one["hosts"]),
        f"  {told['fit']:7} fit" + (f", the best first: {', '.join(told['best'])}" if told["best"] else ""),
    ]


async def _status(state: Path) -> None:
    async with Client(read_admin(state)) as client:
        owners = (await client.get("/freehold/v1/owners"))["owners"]
        hosts = (await client.get("/freehold/v1/hosts"))["hosts"]
    columns = ("role", "name", "cluster", "log at", "digest", "heard", "backup")
    table = Table(*columns, title="owners", title_justify="left")
    for owner in owners:
        place = (owner["role"], owner["name"], owner["cluster"], str(owner["seq"]), owner["digest"][:8])
        table.add_row(*place, heard(owner), backed_up(owner))
    room = Table(
        "host", "state", "hypervisor", "guests", "vCPUs", "memory MiB", "disk GiB", title="hosts", title_justify="left"
    )
    for host in hosts:
        figures = (f"{used} of {total}" for used, total in (host["vcpus"], host["ram_mib"], host["disk_gib"]))
        known, driver = _stands(host), f"{host['hypervisor']} ({host['accelerator']})"
        room.add_row(host["name"], known, driver, str(host["guests"]), *figures)
    console = Console()
    console.print(table)
    console.print(room)
    for line in doubts(owners, hosts):
        console.print(line, highlight=False)
    for reason in sorted({host["accelerator_reason"] for host in hosts} - {""}):
        console.print(reason, highlight=False)


def _stands(host: dict[str, Any]) -> str:
    """Whether a host lives, and whether it takes guests."""
    known = "up" if host["state"] == "heard" else "UNKNOWN"
    if host["fences"]:
        known = f"FENCED: {host['fences'][0]['evidence']}"
    if host["quarantined"]:
        known += f", keeps {host['quarantined']} old copies"
    if host["enabled"]:
        return known
    return f"{known}, drained" + (f": {host['disabled_reason']}" if host["disabled_reason"] else "")


def doubts(owners: list[dict[str, Any]], hosts: list[dict[str, Any]]) -> list[str]:
    """What owners have told that isn't believed: a sentence each."""
    refused = [
        f"{owner['role']} {owner['name'] or owner['store']}: {count} records refused: {reason}"
        for owner in owners
        for reason, count in sorted(owner["refused"].items())
    ]
    return refused + [
        f"host {host['name']}: {_DOUBTS.get(what, what).format(count=count)}"
        for host in hosts
        for what, count in sorted(host["contradictions"].items())
    ]


def heard(owner: dict[str, Any]) -> str:
    """How old what is shown of an owner is. UNKNOWN: it may have changed since, and nobody can say."""
    if owner["state"] == "never":
        return f"UNKNOWN: not heard since the API started, {owner['silent_s']} s ago"
    if owner["state"] == "silent":
        return f"UNKNOWN: silent for {owner['age_s']} s"
    return f"{owner['age_s']} s ago"


def backed_up(owner: dict[str, Any]) -> str:
    """How far an owner's backup is behind."""
    lag = owner.get("backup")
    if lag is None:
        return "none"
    if not lag["entries"] and not lag["seconds"]:
        return "up to date"
    return f"{lag['entries']} entries, {lag['seconds']:.0f} s behind"


async def _story(state: Path, about: str) -> None:
    async with Client(read_admin(state)) as client:
        lines = (await client.get(f"/freehold/v1/stories/{quote(about, safe='')}"))["story"]
    for line in lines:
        print(f"{line['time']}  {line['owner']:9}  {line['kind']:14}  {line['what']}  [{line['cause']}]")
