"""What must hold in every state of the model of deeds, each in the words of the design."""

from collections.abc import Callable
from typing import Final

from freehold.sim.states import LIVE, Held, Stage, State, may_hold


def run_once(state: State) -> str:
    """None is run by two hosts."""
    for g in range(len(state.guests)):
        running = [h for h, host in enumerate(state.hosts) if host.cells[g].on]
        if len(running) > 1:
            return f"guest {g} is run by hosts {running[0]} and {running[1]}"
    return ""


def run_by_the_highest_deed(state: State) -> str:
    """Only the host in the highest deed may run the guest."""
    for g, ledger in enumerate(state.guests):
        for h, host in enumerate(state.hosts):
            cell = host.cells[g]
            if cell.on and cell.held in LIVE and ledger.deed > cell.deed:
                return f"host {h} runs guest {g} under deed {cell.deed}, and deed {ledger.deed} is another's"
    return ""


def one_host_per_number(state: State) -> str:
    """Two hosts under one number is a violation."""
    for g in range(len(state.guests)):
        numbers = [host.cells[g].deed for host in state.hosts if host.cells[g].held in LIVE]
        if len(set(numbers)) != len(numbers):
            return f"two hosts hold guest {g} under deed {max(numbers, key=numbers.count)}"
    return ""


def never_resurrected(state: State) -> str:
    """A delete never resurrects."""
    for g, ledger in enumerate(state.guests):
        if not ledger.tomb and ledger.stage is not Stage.GONE:
            continue
        for h, host in enumerate(state.hosts):
            if host.cells[g].on and host.cells[g].held is not Held.QUARANTINED:
                return f"guest {g} was deleted, and host {h} runs it"
    return ""


def never_lost(state: State) -> str:
    """No guest admitted is lost."""
    for g, ledger in enumerate(state.guests):
        if ledger.stage is Stage.GONE and not ledger.asked:
            return f"guest {g} was admitted, nobody deleted it, and nobody has it"
    return ""


def never_taken_apart(state: State) -> str:
    """No guest admitted is lost: one that was shown to run is taken apart for nobody but who deletes it."""
    for g, ledger in enumerate(state.guests):
        if ledger.shown and not ledger.asked and may_hold(ledger):
            held = state.hosts[ledger.host].cells[g].held
            if held in (Held.REFUSING, Held.DELETING):
                return f"guest {g} ran, nobody deleted it, and host {ledger.host} takes it apart"
    return ""


PROMISES: Final[tuple[Callable[[State], str], ...]] = (
    run_once,
    run_by_the_highest_deed,
    one_host_per_number,
    never_resurrected,
    never_lost,
    never_taken_apart,
)


def broken(state: State) -> str:
    """The first promise that `state` breaks, as a sentence; empty if all hold."""
    for promise in PROMISES:
        said = promise(state)
        if said:
            return said
    return ""
