"""Restoring a store from its backup."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from freehold import assemble
from freehold.cli.ending import run
from freehold.vocabulary.units import iso_millis
from freehold.workers.restore import Damaged


def show(place: str) -> None:
    """Prints what can be restored."""
    run(_show(place))


def restore(state: Path, place: str, *, store: str, role: str, replace: bool) -> None:
    """Restores one store, and says what was done."""
    run(_restore(state, place, store=store, role=role, replace=replace))


async def _show(place: str) -> None:
    table = Table(
        "role", "store", "cluster", "file", "log at", "as of", "remarks", title="backups", title_justify="left"
    )
    for found in await assemble.backed_up(place):
        if isinstance(found, Damaged):
            table.add_row("", found.store, "", "", "", "", found.reason)
        else:
            owner, seq = found.owner, str(found.position.seq)
            table.add_row(owner.role, owner.store, owner.cluster, found.place, seq, iso_millis(found.time), found.note)
    Console().print(table)


async def _restore(state: Path, place: str, *, store: str, role: str, replace: bool) -> None:
    found, target, moved = await assemble.restore_store(state, place, store=store, role=role, replace=replace)
    if moved is not None:
        print(f"the store that was there is now {moved}")
    if found.note:
        print(found.note)
    print(f"restored the {found.owner.role}'s store {found.owner.store} to {target}")
    print(f"its log stands at {found.position.seq}, as of {iso_millis(found.time)}")
