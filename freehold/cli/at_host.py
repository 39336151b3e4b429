"""Asking the host workers of this machine, over the sockets in their state folder."""

import os
import sys
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from rich.console import Console
from rich.table import Table

from freehold.cli.ending import run
from freehold.runtime.chance import SystemChance, new_urn
from freehold.runtime.clock import SystemClock
from freehold.runtime.local_socket import ask_local
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import BadRequest, Broken, Conflict, Forbidden, NotFound, Unavailable, raised_from
from freehold.vocabulary.guest import ConsoleLog, ConsoleOutput, GuestState, Reboot, RebootKind, Start, Stop
from freehold.vocabulary.host import Drain, Undrain
from freehold.vocabulary.ids import is_uuid
from freehold.vocabulary.local import (
    GUESTS_PAGE_MAX,
    GuestAwaited,
    GuestHere,
    GuestsHere,
    HostHere,
    HostStands,
    LocalAnswer,
    LocalOrder,
    LocalQuestion,
)
from freehold.vocabulary.units import iso_seconds
from freehold.vocabulary.word import Word

DEADLINE_S: Final = 30.0
AWAITED_S: Final = 10.0
"""How long one question waits for a guest's next move; it is asked again."""
FOLLOW_S: Final = 0.5

STABLE: Final = frozenset(
    {GuestState.RUNNING, GuestState.STOPPED, GuestState.PAUSED, GuestState.CRASHED, GuestState.QUARANTINED}
)

W = TypeVar("W", bound=Word)


def list_guests(state: Path, host: str) -> None:
    """Prints the guests of all hosts here, or of one."""
    run(_list(state, host))


def start(state: Path, host: str, guest: str, *, wait: bool, without_registrar: bool) -> None:
    """Starts a guest."""
    command = Start(urn=new_urn(SystemChance()), guest=guest, user="", project="")
    run(_order(state, host, LocalOrder(command=command, without_registrar=without_registrar), wait=wait))


def stop(state: Path, host: str, guest: str, *, wait: bool, grace_s: float) -> None:
    """Stops a guest."""
    command = Stop(urn=new_urn(SystemChance()), guest=guest, user="", project="", grace_s=grace_s)
    run(_order(state, host, LocalOrder(command=command), wait=wait))


def reboot(state: Path, host: str, guest: str, *, wait: bool, hard: bool, without_registrar: bool) -> None:
    """Restarts a guest."""
    how = RebootKind.HARD if hard else RebootKind.SOFT
    command = Reboot(urn=new_urn(SystemChance()), guest=guest, user="", project="", how=how)
    run(_order(state, host, LocalOrder(command=command, without_registrar=without_registrar), wait=wait))


def console(state: Path, host: str, guest: str, *, lines: int | None, follow: bool) -> None:
    """Prints a guest's console."""
    run(_console(state, host, guest, lines, follow=follow))


async def order_host(state: Path, host: str, order: Drain | Undrain) -> HostStands:
    """Has a host of this machine do what is ordered of itself. Raises FreeholdError, also if several run here."""
    hosts = await _hosts(state, host)
    if len(hosts) > 1:
        raise BadRequest(f"{len(hosts)} hosts run over {state}: say which ({', '.join(sorted(hosts.values())[:10])})")
    return await _ask(next(iter(hosts)), order, HostStands)


async def _ask(door: Path, question: LocalQuestion, answer: type[W]) -> W:
    try:
        reply = decode(await ask_local(door, encode(question), DEADLINE_S), LocalAnswer)
        if reply.fault is not None:
            raise raised_from(reply.fault)
        return decode(reply.body, answer)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Broken(f"the answer of the host worker at {door} can't be read: {error}") from error


async def _hosts(state: Path, host: str) -> dict[Path, str]:
    """The sockets at which a host answers, with the hosts' names. Raises FreeholdError if there is none."""
    found: dict[Path, str] = {}
    for door in _doors(state):
        try:
            name = (await _ask(door, GuestsHere(after="~"), HostHere)).name
        except Unavailable:
            continue  # a socket that a killed process has left
        if host in ("", name):
            found[door] = name
    if not found and host:
        raise NotFound(f"no host named {host} runs over {state}; `freehold guest list --state {state}` shows what does")
    if not found:
        raise Unavailable(f"no host worker runs over {state}; start it with `freehold host --state {state}`")
    return found


def _doors(state: Path) -> list[Path]:
    folder = state / "hosts"
    try:
        doors = [folder / name for name in os.listdir(folder) if name.endswith(".sock")]
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise Forbidden(f"you may not look into {folder}; be root, or the user that the host runs as") from error
    return sorted(doors, key=lambda door: (len(door.name), door.name))


async def _door_of(state: Path, host: str, guest: str) -> tuple[Path, GuestHere]:
    """The socket of the host that has a guest, and the guest."""
    hosts = await _hosts(state, host)
    for door in hosts if is_uuid(guest) else ():
        try:
            return door, await _ask(door, GuestAwaited(guest=guest), GuestHere)
        except NotFound:
            continue
    where = "host " + host if host else "any host"
    raise NotFound(f"there is no guest {guest} on {where} here; `freehold guest list --state {state}` shows those here")


# --- list --------------------------------------------------------------------------------------------------------


async def _list(state: Path, host: str) -> None:
    columns = ("id", "name", "state", "project", "addresses", "deed", "since")
    for door in await _hosts(state, host):
        here, guests = await _guests(door)
        table = Table(*columns, title=f"guests of host {here.name}", title_justify="left")
        for guest in guests:
            told = (guest.project, " ".join(guest.addresses), str(guest.deed), iso_seconds(guest.since))
            table.add_row(guest.id, guest.name, _state(guest), *told)
        paper = Console()
        paper.print(table)
        if not here.heard:
            paper.print("The registrar hasn't been heard since this host started.", highlight=False)


async def _guests(door: Path) -> tuple[HostHere, list[GuestHere]]:
    page = await _ask(door, GuestsHere(), HostHere)
    guests = list(page.guests)
    while len(page.guests) == GUESTS_PAGE_MAX:
        page = await _ask(door, GuestsHere(after=guests[-1].id), HostHere)
        guests += page.guests
    return page, guests


def _state(guest: GuestHere) -> str:
    """The state; with the power, where that says something else."""
    runs, should_run = guest.power in ("running", "paused"), guest.state in ("running", "paused")
    differs = guest.state in STABLE and runs is not should_run
    return f"{guest.state} (power: {guest.power})" if differs else guest.state


# --- orders ------------------------------------------------------------------------------------------------------


async def _order(state: Path, host: str, order: LocalOrder, *, wait: bool) -> None:
    door, before = await _door_of(state, host, order.command.guest)
    guest = await _ask(door, order, GuestHere)
    if guest.since == before.since:
        print(f"{guest.id}  {_state(guest)} already")
    else:
        print(f"{guest.id}  {_state(guest)}", flush=True)
    while wait and guest.state not in STABLE:
        after = await _ask(door, GuestAwaited(guest=guest.id, since=guest.since, wait_s=AWAITED_S), GuestHere)
        if after.state != guest.state:
            print(f"{guest.id}  {_state(after)}", flush=True)
        guest = after
    wanted = GuestState.STOPPED if isinstance(order.command, Stop) else GuestState.RUNNING
    if wait and guest.state is not wanted:
        raise Conflict(
            f"guest {guest.id} is {guest.state}: {guest.fault.message if guest.fault else 'its log says why'}"
        )


# --- console -----------------------------------------------------------------------------------------------------


async def _console(state: Path, host: str, guest: str, lines: int | None, *, follow: bool) -> None:
    door, _ = await _door_of(state, host, guest)
    seen = (await _ask(door, ConsoleLog(guest=guest, project=""), ConsoleOutput)).text
    told = seen.splitlines(keepends=True)
    print("".join(told if lines is None else told[max(0, len(told) - lines) :]), end="")
    while follow:
        sys.stdout.flush()
        await SystemClock().sleep(FOLLOW_S)
        now = (await _ask(door, ConsoleLog(guest=guest, project=""), ConsoleOutput)).text
        print(said_since(seen, now), end="")
        seen = now


def said_since(seen: str, now: str) -> str:
    """What `now`, the end of a log, has more than `seen`, an earlier end of it; all of it if the log began anew."""
    if now.startswith(seen):
        return now[len(seen) :]
    for kept in range(1, len(seen)):
        if now.startswith(seen[kept:]):
            return now[len(seen) - kept :]
    return now
