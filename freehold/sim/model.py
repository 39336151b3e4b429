"""The promises about deeds as a small machine whose states can all be visited: what may happen next in each.

It says of create, delete, convey, fence, crash and old copies of a disk what registrar and hosts do, and leaves out all
else. What was once sent to a host may be delivered at any time, any number of times, in any order, or never: loss,
doubling, delay and reordering need no steps. A registrar hears of a host's record as it is then. Readers: `telling`.
"""

from freehold.sim.model_hosts import Moves, deleting, machine
from freehold.sim.states import (
    LAUNCHABLE,
    LIVE,
    Cell,
    Fault,
    Held,
    Ledger,
    Life,
    Rules,
    Stage,
    State,
    Step,
    is_fenced,
    may_hold,
    unbarred,
    with_cell,
    with_ledger,
)


def moves(state: State, rules: Rules) -> Moves:
    """All that may happen next."""
    for g, ledger in enumerate(state.guests):
        yield from _registrar(state, rules, g, ledger)
        for h, host in enumerate(state.hosts):
            yield from _heard(state, rules, g, h)
            if host.life not in (Life.DOWN, Life.FENCED):
                yield from _delivered(state, rules, g, h)
                yield from _guest(state, rules, g, h)
    for h, host in enumerate(state.hosts):
        yield from machine(state, rules, h, host)


# --- the registrar -----------------------------------------------------------------------------------------------


def _registrar(state: State, rules: Rules, g: int, ledger: Ledger) -> Moves:
    if ledger.stage is Stage.NONE:
        if not ledger.asked:
            yield Step("admit", g), with_ledger(state, g, Ledger(Stage.OPEN))
        return
    if ledger.stage is Stage.GONE:
        return
    if not ledger.deleting:
        yield Step("ask to delete", g), with_ledger(_told_wanted(state, g, ledger), g, _delete_asked(state, ledger))
        yield from _deeds(state, rules, g, ledger)
    if ledger.stage is Stage.OPEN:
        failed = ledger._replace(stage=Stage.FAILED)
        yield Step("fail", g), with_ledger(_told_wanted(state, g, ledger), g, failed)
    if ledger.stage is Stage.FAILED and ledger.left and not may_hold(ledger) and not ledger.deleting:
        yield Step("evacuate again", g), unbarred(with_ledger(state, g, ledger._replace(stage=Stage.OPEN)), g)
    if ledger.deleting and is_fenced(state, ledger):
        yield Step("end by the fence", g), with_ledger(state, g, ledger._replace(stage=Stage.GONE))
    if rules.fault is Fault.DELETED_UNSEEN and ledger.deleting:
        yield Step("end", g), with_ledger(state, g, ledger._replace(stage=Stage.GONE))
    if rules.fault is Fault.LEASE_TIMED_OUT and ledger.stage is Stage.OPEN and may_hold(ledger):
        yield Step("time out", g), _refused(state, g, ledger)
    if rules.fault is Fault.LEDGER_PUT_BACK and ledger.deed:
        yield Step("put the ledger back", g), _ledger_put_back(state, g, ledger)


def _told_wanted(state: State, g: int, ledger: Ledger) -> State:
    """The host that is sent the build may just have been told that it is wanted, and takes it yet."""
    if ledger.stage is not Stage.OPEN or ledger.deleting or not may_hold(ledger):
        return state
    host = state.hosts[ledger.host]
    cell = host.cells[g]
    if host.life is not Life.CLEARED and not cell.lost:
        return state  # it asks for none yet
    return with_cell(state, g, ledger.host, cell._replace(builds=cell.builds | 1 << ledger.deed))


def _ledger_put_back(state: State, g: int, ledger: Ledger) -> State:
    return with_ledger(unbarred(state, g), g, Ledger(Stage.OPEN, asked=ledger.asked, tomb=ledger.tomb))


def _delete_asked(state: State, ledger: Ledger) -> Ledger:
    if may_hold(ledger) and not is_fenced(state, ledger):
        return ledger._replace(deleting=True, asked=True)
    return ledger._replace(stage=Stage.GONE, asked=True)


def _deeds(state: State, rules: Rules, g: int, ledger: Ledger) -> Moves:
    """Who may get the next deed: whoever hasn't refused; a host named by the holder; any, if the holder is fenced."""
    if rules.fault is Fault.LAST_DEED_WINS and may_hold(ledger) and ledger.stage is Stage.OPEN:
        for h in range(len(state.hosts)):
            if h != ledger.host:
                yield _deed(state, g, h, ledger, ledger.deed)
    if ledger.deed >= rules.limits.deeds or ledger.stage is Stage.FAILED:
        return
    free = ledger.stage is Stage.OPEN and not may_hold(ledger)
    for h, host in enumerate(state.hosts):
        fenced = host.life in (Life.FENCED, Life.WAITING)
        if (free and not host.cells[g].barred and not fenced) or _may_move(state, rules, g, h, ledger):
            yield _deed(state, g, h, ledger, ledger.deed + 1)


def _may_move(state: State, rules: Rules, g: int, h: int, ledger: Ledger) -> bool:
    if not may_hold(ledger):
        return False
    if h == ledger.host or state.hosts[h].life in (Life.FENCED, Life.WAITING):
        return False
    if state.hosts[h].cells[g].offered == ledger.deed + 1:
        return True
    if rules.fault is Fault.CONVEYED_LATE and state.conveys and ledger.stage is Stage.ACTIVE:
        return True
    return is_fenced(state, ledger) or rules.fault is Fault.EVACUATED_UNFENCED


def _deed(state: State, g: int, h: int, ledger: Ledger, number: int) -> tuple[Step, State]:
    left = ledger.left or is_fenced(state, ledger)
    state = unbarred(state, g) if is_fenced(state, ledger) else state
    cell = state.hosts[h].cells[g]
    state = with_cell(state, g, h, cell._replace(builds=cell.builds | 1 << number))
    after = ledger._replace(stage=Stage.OPEN, deed=number, host=h, refused=False, lost=False, shown=False, left=left)
    return Step("record", g, h, number), with_ledger(state, g, after)


def _heard(state: State, rules: Rules, g: int, h: int) -> Moves:
    """The registrar hears what host `h` has on its disk of guest `g`."""
    ledger, cell = state.guests[g], state.hosts[h].cells[g]
    if ledger.host != h or not may_hold(ledger):
        return
    if cell.held is not Held.NOTHING and cell.deed == ledger.deed:
        ran = cell.held in LIVE and cell.held is not Held.BUILDING
        active = ran and not ledger.deleting and ledger.stage in (Stage.OPEN, Stage.FAILED)
        after = ledger._replace(lost=False, stage=Stage.ACTIVE if active else ledger.stage)
        if after != ledger:
            yield Step("hear of the guest", g, h, ledger.deed), with_ledger(state, g, after)
    if cell.refused >= ledger.deed:
        yield Step("hear of the refusal", g, h, cell.refused), _refusal_heard(state, rules, g, ledger, cell)
    elif rules.fault is Fault.ABSENCE_BELIEVED and cell.held is Held.NOTHING:
        yield Step("hear of nothing", g, h), _refused(state, g, ledger)


def _refusal_heard(state: State, rules: Rules, g: int, ledger: Ledger, cell: Cell) -> State:
    ended = ledger.deleting or (cell.deleted and ledger.stage is Stage.ACTIVE)
    if ended or rules.fault is Fault.DELETED_UNASKED:
        return with_ledger(state, g, ledger._replace(stage=Stage.GONE, refused=True, lost=False))
    return _refused(state, g, ledger)


def _refused(state: State, g: int, ledger: Ledger) -> State:
    if ledger.stage is Stage.OPEN:
        cell = state.hosts[ledger.host].cells[g]
        state = with_cell(state, g, ledger.host, cell._replace(barred=True))
    return with_ledger(state, g, ledger._replace(refused=True))


# --- what comes to a host ----------------------------------------------------------------------------------------


def _delivered(state: State, rules: Rules, g: int, h: int) -> Moves:
    host, ledger = state.hosts[h], state.guests[g]
    cell = host.cells[g]
    knows = host.life is Life.CLEARED and not any(other.lost for other in host.cells)
    sent = cell.builds
    mine = ledger.host == h and may_hold(ledger)
    if mine and ledger.stage is Stage.OPEN and not ledger.deleting:
        sent |= 1 << ledger.deed
    for number in range(1, sent.bit_length()):
        if sent >> number & 1 and (knows or cell.lost):
            yield from _build(state, rules, g, h, number)
    restores = cell.restores | (1 << ledger.deed if mine and ledger.lost else 0)
    for number in range(1, restores.bit_length()):
        if restores >> number & 1 and cell.held is Held.NOTHING and not _is_kept_away(rules, cell, number):
            yield _restored(state, g, h, cell._replace(restores=restores), number)
    if ledger.host != h or cell.lost:
        return
    if (ledger.deleting or ledger.stage is Stage.GONE) and not (cell.deleted and cell.refused >= ledger.deed):
        yield from _delete(state, g, h, ledger.deed)
    if ledger.stage in (Stage.FAILED, Stage.GONE) and cell.refused < ledger.deed:
        yield from _withdraw(state, rules, g, h, ledger)  # it may come when the guest has been deleted since


def _is_kept_away(rules: Rules, cell: Cell, number: int) -> bool:
    return rules.fault is not Fault.CLAIM_UNCHECKED and (cell.deleted or number <= cell.refused)


def _build(state: State, rules: Rules, g: int, h: int, number: int) -> Moves:
    cell = state.hosts[h].cells[g]
    if _is_kept_away(rules, cell, number):
        return
    there = cell.on or cell.disk
    if cell.held is Held.NOTHING and there:
        yield _restored(state, g, h, cell, number)
    elif cell.held is Held.NOTHING:
        claimed = cell._replace(held=Held.BUILDING, deed=number, lost=False)
        yield Step("claim", g, h, number), with_cell(state, g, h, claimed)
    apart = cell.held is Held.QUARANTINED and number > cell.deed  # nothing is built over an old copy
    free = not there or state.guests[g].left or rules.fault is Fault.REFUSED_UNREMOVED
    if apart or (cell.held is Held.NOTHING and free):
        refused = cell._replace(refused=number, deleted=False, lost=False)
        yield Step("refuse", g, h, number), with_cell(state, g, h, refused)
    elif number > cell.deed and (cell.held in LIVE or cell.held is Held.CONVEYED):
        held = Held.WIRING if cell.held is Held.CONVEYED else cell.held
        yield Step("take the higher deed", g, h, number), with_cell(state, g, h, cell._replace(held=held, deed=number))


def _restored(state: State, g: int, h: int, cell: Cell, number: int) -> tuple[Step, State]:
    """The record of what is on the machine is there again: nothing is made anew, and what is off stays off."""
    held = Held.WIRING if cell.on else Held.STOPPED
    return Step("restore", g, h, number), with_cell(state, g, h, cell._replace(held=held, deed=number, lost=False))


def _delete(state: State, g: int, h: int, number: int) -> Moves:
    cell = state.hosts[h].cells[g]
    if cell.held is Held.NOTHING:
        after = cell._replace(on=False, disk=False, refused=max(cell.refused, number), deleted=True)
        yield Step("refuse as deleted", g, h, number), _entombed(with_cell(state, g, h, after), g, h, number)
    elif cell.held is not Held.DELETING:
        yield Step("take the delete", g, h, number), with_cell(state, g, h, deleting(cell, number))


def _withdraw(state: State, rules: Rules, g: int, h: int, ledger: Ledger) -> Moves:
    """What has run by then stays, and so does an old copy of a guest that had left."""
    cell, number = state.hosts[h].cells[g], ledger.deed
    taken = rules.fault is Fault.WITHDRAWN_RUNNING and cell.held in LIVE
    if cell.held is Held.NOTHING:
        after = cell._replace(on=cell.on and ledger.left, disk=cell.disk and ledger.left, refused=number)
        yield Step("refuse", g, h, number), with_cell(state, g, h, after)
    elif cell.held in (Held.BUILDING, Held.REFUSING) or taken:
        after = cell._replace(held=Held.REFUSING, end=max(cell.deed, number))
        if after != cell:
            yield Step("take the withdrawal", g, h, number), with_cell(state, g, h, after)


def _entombed(state: State, g: int, h: int, number: int) -> State:
    ledger = state.guests[g]
    if h != ledger.host or number < ledger.deed or not (ledger.deleting or ledger.stage is Stage.GONE):
        return state
    return with_ledger(state, g, ledger._replace(tomb=True))


# --- a guest on its host -----------------------------------------------------------------------------------------


def _guest(state: State, rules: Rules, g: int, h: int) -> Moves:
    """What the host does by its record, or a person asks it to."""
    cell, cleared = state.hosts[h].cells[g], state.hosts[h].life is Life.CLEARED
    held = cell.held
    if held in LAUNCHABLE:
        yield from _launch(state, rules, g, h, cell)
    elif held is Held.STOPPED:
        yield from _stopped(state, rules, g, h, cell)
    elif held is Held.RUNNING:
        if not cell.on or rules.limits.power or state.conveys:
            yield Step("stop", g, h), with_cell(state, g, h, cell._replace(held=Held.STOPPED, on=False))
    elif held in (Held.REFUSING, Held.DELETING):
        if cell.on or cell.disk:
            yield Step("remove", g, h), with_cell(state, g, h, cell._replace(on=False, disk=False))
        else:
            yield _ended(state, g, h, cell)
    elif cell.on and (held is Held.QUARANTINED or (held is Held.NOTHING and cleared and _is_not_here(state, g, h))):
        yield Step("isolate", g, h), with_cell(state, g, h, cell._replace(on=False))
    elif held is Held.QUARANTINED and cleared and state.guests[g].stage is Stage.GONE:
        yield Step("take the delete", g, h), with_cell(state, g, h, deleting(cell, cell.deed))
    elif held is Held.QUARANTINED and rules.fault is Fault.QUARANTINE_OPENED and cleared:
        yield Step("start", g, h, cell.deed), with_cell(state, g, h, cell._replace(held=Held.WIRING))
    if rules.fault is Fault.TOMBSTONE_DROPPED and cell.deleted:
        yield Step("forget the tombstone", g, h), with_cell(state, g, h, cell._replace(refused=0, deleted=False))


def _is_not_here(state: State, g: int, h: int) -> bool:
    ledger = state.guests[g]
    return ledger.deed > 0 and ledger.stage is not Stage.GONE and (ledger.host != h or ledger.refused)


def _launch(state: State, rules: Rules, g: int, h: int, cell: Cell) -> Moves:
    cleared = state.hosts[h].life is Life.CLEARED or rules.fault is Fault.START_UNCLEARED
    if cell.on:
        yield _runs(state, g, h, cell)
    elif cleared and (cell.disk or cell.held is Held.BUILDING):
        yield Step("run", g, h, cell.deed), with_cell(state, g, h, cell._replace(on=True, disk=True))
    if cell.held is Held.BUILDING and not cell.disk:
        yield Step("make the disk", g, h), with_cell(state, g, h, cell._replace(disk=True))
    if cell.held is Held.BUILDING:
        yield Step("fail to build", g, h), with_cell(state, g, h, cell._replace(held=Held.REFUSING))


def _runs(state: State, g: int, h: int, cell: Cell) -> tuple[Step, State]:
    ledger = state.guests[g]
    if (ledger.host, ledger.deed) == (h, cell.deed):
        state = with_ledger(state, g, ledger._replace(shown=True))
    return Step("write that it runs", g, h), with_cell(state, g, h, cell._replace(held=Held.RUNNING))


def _stopped(state: State, rules: Rules, g: int, h: int, cell: Cell) -> Moves:
    if cell.on:
        yield _runs(state, g, h, cell)
    elif state.hosts[h].life is Life.CLEARED:
        if rules.limits.power:
            yield Step("start", g, h, cell.deed), with_cell(state, g, h, cell._replace(held=Held.WIRING))
        yield from _convey(state, rules, g, h, cell)


def _ended(state: State, g: int, h: int, cell: Cell) -> tuple[Step, State]:
    deleted, number = cell.held is Held.DELETING, max(cell.deed, cell.end, cell.refused)
    after = cell._replace(held=Held.NOTHING, deed=0, end=0, refused=number, deleted=deleted)
    state = with_cell(state, g, h, after)
    if deleted:
        return Step("write the tombstone", g, h, number), _entombed(state, g, h, number)
    return Step("refuse", g, h, number), state


def _convey(state: State, rules: Rules, g: int, h: int, cell: Cell) -> Moves:
    """The source says durably whom it conveys the guest to; only then may there be a deed for that host."""
    if not state.conveys or cell.deed >= rules.limits.deeds or state.guests[g].deed != cell.deed:
        return
    for to, host in enumerate(state.hosts):
        if to != h:
            offered = host.cells[g]._replace(offered=cell.deed + 1)
            after = with_cell(state, g, h, cell._replace(held=Held.CONVEYED))
            after = with_cell(after, g, to, offered)._replace(conveys=state.conveys - 1)
            yield Step("convey", g, to, cell.deed + 1), after
