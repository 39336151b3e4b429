"""A host's life in the model of deeds: it is killed, loses power, is put back, fenced and let in, and hears what was
decided meanwhile.
"""

from collections.abc import Iterator

from freehold.sim.states import (
    LIVE,
    UNLIMITED,
    Cell,
    Fault,
    Held,
    Host,
    Kept,
    Ledger,
    Life,
    Rules,
    Stage,
    State,
    Step,
    may_hold,
    with_cell,
    with_host,
    with_ledger,
)

Moves = Iterator[tuple[Step, State]]


def machine(state: State, rules: Rules, h: int, host: Host) -> Moves:
    """What may happen to machine `h` and its worker."""
    if host.life in (Life.DOWN, Life.FENCED):
        started = Life.UP if host.life is Life.DOWN else Life.WAITING
        yield Step("start the host", host=h), with_host(state, h, Host(started, _unsent(rules, host)))
        if any(cell.on for cell in host.cells):
            yield Step("lose power", host=h), with_host(state, h, _off(host, host.life))
        if state.rollbacks and any(cell.copy for cell in host.cells):
            yield Step("put the disk back", host=h), _put_back(state, h, host)
    elif host.life is Life.UP:
        yield Step("clear", host=h), _cleared(state, rules, h, host)
    if host.life in (Life.UP, Life.CLEARED, Life.WAITING):
        if state.kills:
            cells = tuple(cell._replace(lost=False) for cell in host.cells)
            killed = with_host(state, h, Host(Life.FENCED if host.life is Life.WAITING else Life.DOWN, cells))
            yield Step("kill the worker", host=h), killed._replace(kills=max(UNLIMITED, state.kills - 1))
        if state.rollbacks and not any(cell.copy for cell in host.cells):
            copied = tuple(cell._replace(copy=(_kept(cell),)) for cell in host.cells)
            yield Step("copy the disk", host=h), with_host(state, h, Host(host.life, copied))
    if host.life is Life.FENCED:
        yield Step("let the host back", host=h), with_host(state, h, Host(Life.DOWN, host.cells))
    elif host.life is Life.WAITING:
        told = _cleared(state, rules, h, host)
        yield Step("tell the fenced host", host=h), with_host(told, h, Host(Life.WAITING, told.hosts[h].cells))
        let_in = Life.CLEARED if rules.fault is Fault.LET_IN_UNTOLD else Life.UP
        yield Step("let the host back", host=h), with_host(state, h, Host(let_in, _unsent(rules, host)))
    elif state.fences:
        fenced = with_host(state, h, _off(host, Life.FENCED))
        yield Step("fence", host=h), fenced._replace(fences=state.fences - 1)


def _unsent(rules: Rules, host: Host) -> tuple[Cell, ...]:
    """It asks the registrar about each build that comes: what was sent before isn't taken."""
    late = rules.fault is Fault.BUILD_OUTLIVES_START
    return host.cells if late else tuple(cell._replace(builds=0, restores=0) for cell in host.cells)


def _off(host: Host, life: Life) -> Host:
    return Host(life, tuple(cell._replace(on=False, lost=False) for cell in host.cells))


def _kept(cell: Cell) -> Kept:
    return cell.held, cell.deed, cell.refused, cell.deleted, cell.end


def _put_back(state: State, h: int, host: Host) -> State:
    """What the disk had said since the copy is lost."""
    for g, ledger in enumerate(state.guests):
        if ledger.host == h:
            state = with_ledger(state, g, ledger._replace(shown=False))
    cells = tuple(_with_copy(cell) for cell in host.cells)
    return with_host(state, h, Host(host.life, cells))._replace(rollbacks=state.rollbacks - 1)


def _with_copy(cell: Cell) -> Cell:
    if not cell.copy:
        return cell
    held, deed, refused, deleted, end = cell.copy[0]
    return cell._replace(held=held, deed=deed, refused=refused, deleted=deleted, end=end, copy=())


def _cleared(state: State, rules: Rules, h: int, host: Host) -> State:
    """The registrar has told the host what was decided about what it holds, and which guests it should hold."""
    for g, cell in enumerate(host.cells):
        ledger = state.guests[g]
        if cell.held is not Held.NOTHING:
            state = with_cell(state, g, h, _told(rules, cell, ledger, h))
        elif ledger.host == h and may_hold(ledger) and cell.refused < ledger.deed:
            known = ledger.stage is Stage.ACTIVE
            if known or (ledger.stage is Stage.OPEN and (cell.on or cell.disk)):
                state = with_cell(state, g, h, cell._replace(lost=True))
            state = with_ledger(state, g, ledger._replace(lost=known))
    return with_host(state, h, Host(Life.CLEARED, state.hosts[h].cells))


def _told(rules: Rules, cell: Cell, ledger: Ledger, h: int) -> Cell:
    higher = ledger.deed > cell.deed
    refused = ledger.refused and ledger.deed == cell.deed and rules.fault is not Fault.REFUSED_UNTOLD
    if rules.fault is Fault.DEED_COMPARED_WRONG:
        higher = ledger.deed < cell.deed
    if ledger.deleting or ledger.stage is Stage.GONE:
        if rules.fault is not Fault.ENDED_FORGOTTEN or ledger.stage is not Stage.GONE:
            # of a guest that has ended, the registrar knows no deed any more
            return deleting(cell, ledger.deed if ledger.deleting and ledger.stage is not Stage.GONE else cell.deed)
    elif higher and ledger.host == h and may_hold(ledger):
        return cell._replace(deed=ledger.deed)
    elif (higher or refused) and cell.held is Held.BUILDING:
        return cell._replace(held=Held.REFUSING)
    elif (higher or refused) and cell.held in LIVE:
        return cell._replace(held=Held.QUARANTINED)
    if cell.held is Held.RUNNING and not cell.on:
        return cell._replace(held=Held.WIRING)
    return cell


def deleting(cell: Cell, number: int) -> Cell:
    """The cell of a host that has taken a delete up to deed `number`."""
    return cell._replace(held=Held.DELETING, end=max(cell.deed, number))
