"""The table of a guest's moves, cell by cell, and what each record then says."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import Broken, Conflict
from freehold.vocabulary.guest import Guest, GuestState, Labels, Power, RebootKind, Relabel
from freehold.vocabulary.units import clock_time
from freehold.workers.host.lifecycle import decide, effect_of, next_of
from freehold.workers.host.messages import (
    COMMANDS,
    BuildEnded,
    Came,
    DeadlinePassed,
    DeedRefused,
    DeleteAsked,
    Effect,
    EffectDone,
    EffectFailed,
    HigherDeedKnown,
    MachineRestarted,
    Message,
    PowerSeen,
    RebootAsked,
    RelabelAsked,
    StartAsked,
    StopAsked,
    WithdrawAsked,
)
from freehold.workers.host.moves import EFFECTS, MOVES, End
from tests.workers.host.bench import GUEST, PROJECT, a_guest_record, delete, reboot, start, stop

S = GuestState
NOW = clock_time(1_700_000_000_000)

SHORT = {
    "fi": S.FETCHING_IMAGE,
    "md": S.MAKING_DISK,
    "wi": S.WIRING,
    "la": S.LAUNCHING,
    "sd": S.SHUTTING_DOWN,
    "st": S.STOPPING,
    "rs": S.REBOOTING_SOFT,
    "rh": S.REBOOTING_HARD,
    "de": S.DELETING,
    "re": S.REFUSING,
    "RU": S.RUNNING,
    "ST": S.STOPPED,
    "PA": S.PAUSED,
    "CR": S.CRASHED,
    "QU": S.QUARANTINED,
    "go": End.GONE,
    "rf": End.REFUSED,
}

# ".." is ignored, "!!" is a Conflict. The last five states are stable.
GRID = """
                 fi md wi la sd st rs rh de re RU ST PA CR QU
done             md wi la RU .. ST .. wi go rf .. .. .. .. QU
done_off         .. ST .. .. .. .. .. .. .. .. .. .. .. .. ..
failed           re re ST ST st st rh RU de re .. .. .. .. QU
failed_build     re re re re .. .. .. .. de re .. .. .. .. QU
power_running    .. .. .. .. .. .. .. .. .. .. RU RU RU RU QU
power_paused     .. .. .. .. .. .. .. .. .. .. PA PA PA PA QU
power_off        .. .. .. .. ST .. wi .. .. .. ST ST ST CR QU
power_crashed    .. .. .. .. st .. rh .. .. .. CR .. CR CR QU
power_absent     .. .. .. .. ST .. rh .. .. .. CR CR CR CR QU
deadline         .. .. .. .. st .. rh .. .. .. .. .. .. .. ..
restarted        .. .. .. .. .. .. .. .. .. .. wi .. wi .. ..
deed_void        re re QU QU QU QU QU QU .. .. QU QU QU QU ..
start            !! !! !! !! !! !! !! !! !! !! !! wi !! rh !!
stop             !! !! !! !! !! !! !! !! !! !! sd !! st st !!
stop_now         !! !! !! !! st !! !! !! !! !! st !! st st !!
reboot_soft      !! !! !! !! !! !! !! !! !! !! rs !! !! !! !!
reboot_hard      !! !! !! !! !! !! rh !! !! !! rh rh rh rh !!
relabel          fi md wi la sd st rs rh !! !! RU ST PA CR !!
delete           de de de de de de de de de de de de de de de
build_ended      re re re re .. .. .. .. .. .. .. .. .. .. ..
withdraw         re re re re .. .. .. .. .. re .. .. .. .. re
discard          !! !! !! !! !! !! !! !! !! !! !! !! !! !! re
plug             fi md wi la sd st rs rh !! !! RU ST PA CR !!
unplug           fi md wi la sd st rs rh de re RU ST PA CR QU
unplugged        fi md wi la sd st rs rh de re RU ST PA CR QU
"""


def cells() -> list[tuple[GuestState, Came, str]]:
    lines = [line.split() for line in GRID.strip().splitlines()]
    states = [SHORT[short] for short in lines[0]]
    return [
        (GuestState(state), Came(came), cell)
        for came, *row in lines[1:]
        for state, cell in zip(states, row, strict=True)
    ]


@pytest.mark.parametrize(("state", "came", "cell"), cells())
def test_each_cell_of_the_table(state: GuestState, came: Came, cell: str) -> None:
    if cell == "!!":
        with pytest.raises(Conflict):
            next_of(state, came)
    else:
        assert next_of(state, came) is (None if cell == ".." else SHORT[cell])


def test_the_grid_has_every_state_and_every_message() -> None:
    assert {(state, came) for state, came, _ in cells()} == {(state, came) for state in GuestState for came in Came}
    assert set(MOVES) == set(GuestState)


def test_every_state_in_progress_leads_on_from_its_effect() -> None:
    for state, effect in EFFECTS.items():
        waits = effect is Effect.ASK_SHUT_DOWN
        assert (Came.DEADLINE if waits else Came.DONE) in MOVES[state], f"{state} would last for ever"
        assert Came.FAILED in MOVES[state]
    for state in set(GuestState) - set(EFFECTS) - {S.QUARANTINED}:
        assert effect_of(a_guest(state)) is None


def a_guest(state: GuestState, **changes: Any) -> Guest:
    return replace(a_guest_record(), state=state, updated=NOW, launched=NOW, power=Power.RUNNING, **changes)


MESSAGES: list[Message] = [
    *(EffectDone(effect) for effect in Effect),
    *(EffectFailed(effect, Broken("no").fault()) for effect in Effect),
    *(PowerSeen(power, since=NOW) for power in Power),
    DeadlinePassed(NOW),
    MachineRestarted(),
    BuildEnded(Broken("no").fault()),
    DeedRefused(9),
    HigherDeedKnown(Deed(guest=GUEST, project=PROJECT, number=9, host="another", cluster="c", urn="u")),
    StartAsked(start()),
    StopAsked(stop()),
    StopAsked(stop(grace_s=0)),
    RebootAsked(reboot(RebootKind.SOFT)),
    RebootAsked(reboot(RebootKind.HARD)),
    RelabelAsked(Relabel(urn="r", guest=GUEST, user="u", project=PROJECT, labels=Labels(name="new"))),
    DeleteAsked(delete(deed=4)),
]


@pytest.mark.parametrize("state", list(GuestState))
@pytest.mark.parametrize("launched", [None, NOW])
def test_every_record_that_comes_of_a_message_makes_sense(state: GuestState, launched: int | None) -> None:
    before = a_guest(state, working_for="w" if state in EFFECTS else "")
    before = replace(before, launched=launched, deadline=NOW if effect_of(before) is Effect.ASK_SHUT_DOWN else None)
    for message in MESSAGES:
        try:
            decision = decide(before, message, NOW + 1)
        except Conflict as conflict:
            assert type(message).__name__.endswith("Asked"), "news is never a conflict"
            assert conflict.message.endswith(".")
            continue
        after = decision.guest
        if after is None:
            assert decision.refusal is not None and state in (S.DELETING, S.REFUSING)
            assert decision.refusal.deleted == (state is S.DELETING)
        elif decision.ignored:
            assert after == before
        else:
            assert after.updated == NOW + 1
            assert bool(after.working_for) <= (after.state in EFFECTS), f"{after.state} works for nobody"
            assert (after.deadline is not None) <= (effect_of(after) is Effect.ASK_SHUT_DOWN)
            if effect_of(after) is Effect.ASK_SHUT_DOWN:
                assert after.deadline is not None, "every wait has a deadline"
            if before.working_for and after.working_for != before.working_for:
                assert decision.finished == before.working_for


def test_an_answer_that_is_no_longer_asked_for_is_ignored() -> None:
    assert decide(a_guest(S.DELETING), EffectDone(Effect.LAUNCH), NOW).ignored


def test_power_seen_before_the_record_changed_is_ignored() -> None:
    assert decide(a_guest(S.RUNNING), PowerSeen(Power.OFF, since=NOW - 1), NOW).ignored


def test_the_deadline_of_another_wait_is_ignored() -> None:
    guest = a_guest(S.SHUTTING_DOWN, deadline=NOW + 10)
    assert decide(guest, DeadlinePassed(NOW + 9), NOW + 11).ignored
    after = decide(guest, DeadlinePassed(NOW + 10), NOW + 10).guest
    assert after is not None and after.state is S.STOPPING and after.deadline is None


def test_a_lower_deed_means_nothing_and_one_that_names_us_is_adopted() -> None:
    guest = a_guest(S.RUNNING, deed=3)
    deed = Deed(guest=GUEST, project=PROJECT, number=3, host="another", cluster="c", urn="u")
    assert decide(guest, HigherDeedKnown(deed), NOW).ignored
    ours = HigherDeedKnown(replace(deed, number=4, host=guest.host))
    after = decide(guest, ours, NOW).guest
    assert after is not None and (after.state, after.deed) == (S.RUNNING, 4)


def test_a_refusal_of_a_lower_deed_changes_nothing() -> None:
    assert decide(a_guest(S.STOPPED, deed=3), DeedRefused(2), NOW).ignored
    after = decide(a_guest(S.STOPPED, deed=3), DeedRefused(3), NOW).guest
    assert after is not None and after.state is S.QUARANTINED and after.fault is not None


def test_a_tombstone_covers_the_highest_deed_known() -> None:
    deleting = decide(a_guest(S.RUNNING, deed=2), DeleteAsked(delete(deed=5)), NOW).guest
    assert deleting is not None and deleting.deed == 2, "the deed held is not changed by a delete"
    ended = decide(deleting, EffectDone(Effect.REMOVE), NOW)
    assert ended.refusal is not None and ended.refusal.deed == 5 and ended.refusal.urn == "delete-1"


def test_a_quarantined_guest_is_switched_off_whatever_was_known() -> None:
    deed = Deed(guest=GUEST, project=PROJECT, number=9, host="another", cluster="c", urn="u")
    launching = replace(a_guest(S.LAUNCHING), power=Power.OFF)
    lost = decide(launching, HigherDeedKnown(deed), NOW).guest
    assert lost is not None and effect_of(lost) is Effect.ISOLATE
    off = decide(lost, EffectDone(Effect.ISOLATE), NOW).guest
    assert off is not None and off.state is S.QUARANTINED and effect_of(off) is None
    on = decide(off, PowerSeen(Power.RUNNING, since=off.updated), NOW).guest
    assert on is not None and effect_of(on) is Effect.ISOLATE


def test_a_delete_that_overtakes_ends_what_was_going_on() -> None:
    guest = a_guest(S.STOPPING, working_for="stop-1")
    decision = decide(guest, DeleteAsked(delete()), NOW)
    assert decision.finished == "stop-1" and decision.fault is not None
    assert decision.started is not None and decision.started.action == "delete"


@pytest.mark.parametrize("state", [state for state in S if state is not S.DELETING])
def test_a_failed_request_takes_no_guest_with_it_that_has_run(state: GuestState) -> None:
    withdrawn = WithdrawAsked(replace(delete(), unless_run=True))
    assert decide(a_guest(state), withdrawn, NOW).ignored


@pytest.mark.parametrize("state", [S.FETCHING_IMAGE, S.MAKING_DISK, S.WIRING, S.LAUNCHING, S.REFUSING])
def test_a_failed_request_takes_what_was_built_for_it_with_it(state: GuestState) -> None:
    withdrawn = WithdrawAsked(replace(delete(), unless_run=True))
    after = decide(replace(a_guest(state), launched=None), withdrawn, NOW).guest
    assert after is not None and after.state is S.REFUSING
    refusal = decide(after, EffectDone(Effect.REMOVE), NOW).refusal
    assert refusal is not None and (refusal.deed, refusal.deleted) == (after.delete_deed, False)


def test_commands_are_the_only_conflicts() -> None:
    assert {came for _, came, cell in cells() if cell == "!!"} <= COMMANDS
