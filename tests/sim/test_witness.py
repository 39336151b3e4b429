"""What a run does is told to the model of deeds as it was: first things first, each once."""

from msgspec.structs import replace

from freehold.sim.traces import (
    Admitted,
    Claimed,
    DeedRecorded,
    DeleteAsked,
    Failed,
    HostRestarted,
    PoweredOff,
    RefusedDurably,
    RolledBack,
    Running,
    Tombstoned,
    TraceEvent,
)
from freehold.sim.witness import EVENTS_MAX, Witness, fits_the_model
from freehold.vocabulary.codec import encode
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Entry
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import GuestState, Labels, Refusal
from freehold.vocabulary.request import Admission, Stage
from freehold.vocabulary.word import Word
from tests.workers.host.bench import GUEST, a_guest_record, a_spec

A = "host a"
ADMISSION = Admission(
    guest=GUEST,
    project="p",
    user="u",
    urn="urn",
    created=1,
    hostname="web",
    labels=Labels(name="web"),
    spec=a_spec(),
    networks=(),
    updated=1,
)
DEED = Deed(guest=GUEST, project="p", number=1, host=A, cluster="c", urn="urn")


def line(kind: str, record: Word | None) -> Entry:
    value = None if record is None else encode(record)
    return Entry(1, 1, kind, GUEST, value, "", b"")


def refusal(*, deleted: bool) -> Refusal:
    return Refusal(guest=GUEST, project="p", deed=1, urn="u", fault=Fault(code="x", message="x"), deleted=deleted)


def seen(witness: Witness) -> list[TraceEvent]:
    return witness.trace(GUEST)


def built() -> Witness:
    witness = Witness()
    for admission in (ADMISSION, replace(ADMISSION, deed=DEED), replace(ADMISSION, deed=DEED, stage=Stage.BUILDING)):
        witness.wrote("r", line("admission", admission))
    guest = replace(a_guest_record(), id=GUEST, deed=1)
    for state in (GuestState.FETCHING_IMAGE, GuestState.LAUNCHING):
        witness.wrote(A, line("guest", replace(guest, state=state)))
    witness.ran(A, GUEST)
    return witness


BUILT: list[TraceEvent] = [Admitted(GUEST), DeedRecorded(GUEST, A, 1), Claimed(GUEST, A, 1), Running(GUEST, A)]


def test_a_build() -> None:
    assert seen(built()) == BUILT
    assert built().check() == ""


def test_a_delete() -> None:
    witness = built()
    for _ in range(2):
        witness.wrote("r", line("admission", replace(ADMISSION, deed=DEED, delete_urn="d")))
    witness.wrote(A, line("guest", None))
    witness.wrote(A, line("refusal", refusal(deleted=True)))
    witness.wrote("r", line("admission", None))
    assert seen(witness) == [*BUILT, DeleteAsked(GUEST), Tombstoned(GUEST, A, 1)]
    assert witness.check() == ""


def test_what_the_model_cant_do_is_said() -> None:
    witness = built()
    witness.wrote(A, line("refusal", refusal(deleted=True)))
    assert "the model doesn't allow Tombstoned" in witness.check()


def test_an_admission_that_ends_with_no_host() -> None:
    witness = Witness()
    witness.wrote("r", line("admission", ADMISSION))
    witness.wrote("r", line("admission", None))
    assert seen(witness) == [Admitted(GUEST), DeleteAsked(GUEST)]


def test_a_build_that_fails_for_good() -> None:
    witness = Witness()
    witness.wrote("r", line("admission", replace(ADMISSION, deed=DEED)))
    witness.wrote(A, line("refusal", refusal(deleted=False)))
    for _ in range(2):
        witness.wrote("r", line("admission", replace(ADMISSION, deed=DEED, stage=Stage.FAILED)))
    assert seen(witness) == [Admitted(GUEST), DeedRecorded(GUEST, A, 1), RefusedDurably(GUEST, A, 1), Failed(GUEST)]


def test_a_record_that_comes_again_after_the_disk_was_put_back_is_restored() -> None:
    witness = built()
    witness.lost_power(A)
    witness.put_back(A, set())
    witness.restarted(A)
    witness.wrote(A, line("guest", replace(a_guest_record(), id=GUEST, deed=1, state=GuestState.STOPPED)))
    after = [PoweredOff(A), RolledBack(A), HostRestarted(A), Claimed(GUEST, A, 1, restored=True)]
    assert seen(witness) == [*BUILT, *after]
    assert witness.check() == ""


def test_a_record_that_was_in_the_copy_isnt_claimed_again() -> None:
    witness = built()
    witness.put_back(A, {GUEST})
    witness.wrote(A, line("guest", replace(a_guest_record(), id=GUEST, deed=1)))
    assert seen(witness) == [*BUILT, RolledBack(A)]


def test_hosts_that_had_nothing_to_do_with_a_guest_are_left_out() -> None:
    witness = built()
    witness.restarted("another")
    assert seen(witness) == BUILT


def test_what_the_model_is_too_small_for_isnt_played() -> None:
    assert fits_the_model([*BUILT, RolledBack(A), RolledBack("b")])
    assert not fits_the_model([*BUILT, RolledBack(A), RolledBack(A)])
    assert not fits_the_model([HostRestarted(A)] * (EVENTS_MAX + 1))
