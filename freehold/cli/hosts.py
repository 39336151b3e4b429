"""What the commands that order hosts do."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from freehold.cli import at_host
from freehold.cli.client import Client
from freehold.cli.credentials import read_admin
from freehold.cli.ending import run
from freehold.runtime.chance import SystemChance, new_urn
from freehold.vocabulary.host import Drain, Undrain
from freehold.vocabulary.local import HostStands


def show(state: Path, host: str) -> None:
    """Prints what a host is."""
    run(_show(state, host))


def drain(state: Path, host: str, reason: str, *, here: bool) -> None:
    """Drains a host, by the cloud's API or at its own machine."""
    if here:
        order = Drain(urn=new_urn(SystemChance()), host="", user="", reason=reason)
        run(_ordered_here(state, host, order))
    else:
        run(_ordered(state, host, {"enabled": False, "reason": reason}))


def undrain(state: Path, host: str, *, here: bool) -> None:
    """Takes a host up again."""
    if here:
        run(_ordered_here(state, host, Undrain(urn=new_urn(SystemChance()), host="", user="")))
    else:
        run(_ordered(state, host, {"enabled": True}))


def retire(state: Path, host: str, *, dead: bool) -> None:
    """Lets go of a host."""
    run(_retire(state, host, dead=dead))


def show_retired(state: Path) -> None:
    """Prints the hosts that have left."""
    run(_show_retired(state))


async def _show(state: Path, host: str) -> None:
    async with Client(read_admin(state)) as client:
        told = (await client.get(_path(host)))["host"]
    guests = f"{told['guests']} guest{'' if told['guests'] == 1 else 's'}"
    print(f"{told['name']} ({told['id']}), of cluster {told['cluster']}, with {guests}")
    for name in ("architecture", "hypervisor_types", "traits", "aggregates"):
        values = [told[name]] if isinstance(told[name], str) else told[name]
        print(f"  {name.replace('_', ' ')}: {' '.join(values) or '-'}")


async def _ordered_here(state: Path, host: str, order: Drain | Undrain) -> None:
    stands = await at_host.order_host(state, host, order)
    _say(stands)


async def _ordered(state: Path, host: str, wanted: dict[str, Any]) -> None:
    async with Client(read_admin(state)) as client:
        told = (await client.put_json(_path(host), {"host": wanted}))["host"]
    _say(HostStands(name=told["name"], enabled=told["enabled"], reason=told["disabled_reason"], guests=told["guests"]))


def _say(stands: HostStands) -> None:
    guests = f"{stands.guests} guest{'' if stands.guests == 1 else 's'}"
    if stands.enabled:
        print(f"{stands.name} takes guests again; it has {guests}")
    else:
        why = f" ({stands.reason})" if stands.reason else ""
        print(f"{stands.name} is drained{why}: it takes no new guests; {guests} there: untouched")


async def _retire(state: Path, host: str, *, dead: bool) -> None:
    async with Client(read_admin(state)) as client:
        told = (await client.delete(_path(host) + ("?dead=true" if dead else "")))["host"]
    barred = "its machine is shut out" if told["machine"] == "barred" else told["machine"]
    print(f"{told['name']} is retired, for good; {barred}")


async def _show_retired(state: Path) -> None:
    async with Client(read_admin(state)) as client:
        hosts = (await client.get("/freehold/v1/retired-hosts"))["hosts"]
    table = Table("name", "id", "retired", "how")
    for one in hosts:
        table.add_row(one["name"], one["id"], one["time"], "as dead" if one["dead"] else "by its own word")
    Console().print(table)


def _path(host: str) -> str:
    return f"/freehold/v1/hosts/{quote(host, safe='')}"
