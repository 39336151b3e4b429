"""The rules of attachments: who gets which number, who is cut off, and what never comes back."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.attachment import Attachment, AttachmentState, Export, GuestVolume, OpenVolume
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import Conflict, Forbidden, NotFound, Unavailable
from freehold.vocabulary.request import Intent
from freehold.vocabulary.volume import Volume, VolumeSpec, VolumeState
from freehold.workers.volume import attachments as rules
from tests.workers.volume.bench import VOLUME, a_volume, uid

A, B = uid(301), uid(302)
GUEST, OTHER_GUEST = uid(401), uid(402)
HOST, OTHER_HOST = uid(501), uid(502)
S = AttachmentState
NOW = 10


def an_attachment(identifier: str = A, guest: str = GUEST, **fields: Any) -> Attachment:
    given: dict[str, Any] = {
        "host": HOST,
        "cluster": "c",
        "user": "u",
        "urn": f"urn:{identifier}",
        "device": "/dev/vdb",
    }
    return Attachment(id=identifier, guest=guest, **{**given, **fields})


def a_disk(identifier: str = A, **fields: Any) -> GuestVolume:
    given: dict[str, Any] = {"volume": VOLUME, "store": "s", "cluster": "c", "size_gib": 1, "device": "/dev/vdb"}
    return GuestVolume(attachment=identifier, urn=f"urn:{identifier}", **{**given, **fields})


def an_opening(identifier: str = A, guest: str = GUEST, host: str = HOST, deed: int = 1, number: int = 0) -> OpenVolume:
    return OpenVolume(
        host=host,
        cluster="c",
        guest=guest,
        project="p",
        deed=deed,
        user="u",
        key=bytes(32),
        disk=a_disk(identifier),
        number=number,
    )


def with_one(state: AttachmentState = S.ATTACHED, number: int = 3, **fields: Any) -> Volume:
    held = an_attachment(state=state, number=number, deed=1, **fields)
    return a_volume(attachments=(held,), number_last=number)


def test_a_free_volume_is_promised_under_no_number_yet() -> None:
    volume = rules.attached(a_volume(), an_attachment(number=9, deed=9, state=S.ATTACHED), NOW)
    (held,) = volume.attachments
    assert (held.state, held.number, held.deed, held.created) == (S.ATTACHING, 0, 0, NOW)
    assert rules.attached(volume, an_attachment(), NOW + 1) is volume, "the same request, once more"


@pytest.mark.parametrize("state", [state for state in VolumeState if state is not VolumeState.AVAILABLE])
def test_what_is_not_available_is_not_attached(state: VolumeState) -> None:
    with pytest.raises(Conflict, match="when it is available"):
        rules.attached(a_volume(state=state), an_attachment(), NOW)


def test_a_volume_has_one_guest_unless_several_may_have_it() -> None:
    volume, second = with_one(), an_attachment(B, OTHER_GUEST)
    with pytest.raises(Conflict, match="another server"):
        rules.attached(volume, second, NOW)
    shared = replace(volume, spec=VolumeSpec(size_gib=1, multi_attach=True))
    assert len(rules.attached(shared, second, NOW).attachments) == 2
    with pytest.raises(Conflict, match="already"):
        rules.attached(shared, replace(second, guest=GUEST), NOW)
    many = tuple(an_attachment(uid(600 + n), uid(700 + n)) for n in range(rules.ATTACHMENTS_MAX))
    with pytest.raises(Conflict, match="the most"):
        rules.attached(replace(shared, attachments=many), second, NOW)


def test_what_its_host_knows_is_attached_and_only_that_changes() -> None:
    volume = rules.known_there(with_one(S.ATTACHING), A, NOW)
    assert volume.attachments[0].state is S.ATTACHED
    assert rules.known_there(volume, A, NOW) is volume and rules.known_there(volume, B, NOW) is volume
    leaving = with_one(S.DETACHING)
    assert rules.known_there(leaving, A, NOW) is leaving


def test_what_has_ended_is_cut_off_and_stays_so_until_it_is() -> None:
    volume = rules.detaching(with_one(), A, "urn:end", NOW)
    assert (volume.attachments[0].state, volume.attachments[0].detach_urn) == (S.DETACHING, "urn:end")
    assert rules.detaching(volume, A, "urn:other", NOW) is volume
    with pytest.raises(NotFound):
        rules.detaching(volume, B, "urn:end", NOW)
    ended = rules.ended(volume, A, NOW)
    assert (ended.attachments, ended.cut_off, ended.number_last) == ((), (3,), 3)
    assert rules.ended(ended, A, NOW) is ended
    assert rules.cut_off(ended, 3, NOW).cut_off == ()
    never_opened = rules.ended(with_one(S.ATTACHING, number=0), A, NOW)
    assert never_opened.cut_off == ()


# --- opening ---------------------------------------------------------------------------------------------------------


def test_who_has_it_open_under_this_deed_needs_no_proof() -> None:
    assert rules.check_opening(with_one(), an_opening(), ended_here=False)
    for other in (an_opening(deed=2), an_opening(host=OTHER_HOST)):
        assert not rules.check_opening(with_one(), other, ended_here=False)
    assert not rules.check_opening(with_one(number=0), an_opening(), ended_here=False)


@pytest.mark.parametrize(
    ("volume", "asked", "ended", "error"),
    [
        (None, an_opening(), True, NotFound),
        (None, an_opening(), False, Unavailable),
        (a_volume(state=VolumeState.CREATING), an_opening(), False, Unavailable),
        (a_volume(state=VolumeState.DELETING), an_opening(), False, NotFound),
        (a_volume(), an_opening(), True, NotFound),
        (with_one(), an_opening(guest=OTHER_GUEST), False, Forbidden),
        (with_one(S.DETACHING), an_opening(), False, Conflict),
        (a_volume(attachments=(an_attachment(deed=2, number=1),)), an_opening(), False, Forbidden),
        (with_one(), an_opening(B, OTHER_GUEST), False, Conflict),
        (with_one(), replace(an_opening(), project="another"), False, Forbidden),
    ],
)
def test_who_may_not_have_it_is_refused(
    volume: Volume | None, asked: OpenVolume, ended: bool, error: type[Exception]
) -> None:
    with pytest.raises(error):
        rules.check_opening(volume, asked, ended_here=ended)


def deed(host: str = HOST, number: int = 1, project: str = "p") -> Deed:
    return Deed(guest=GUEST, project=project, number=number, host=host, cluster="c", urn="u")


@pytest.mark.parametrize(
    "intent",
    [
        Intent(guest=GUEST),
        Intent(guest=GUEST, deed=deed(OTHER_HOST)),
        Intent(guest=GUEST, deed=deed(number=2)),
        Intent(guest=GUEST, deed=deed(project="another")),
        Intent(guest=GUEST, deed=deed(), refused_deed=1),
    ],
)
def test_only_the_highest_deed_that_is_recorded_opens_a_volume(intent: Intent) -> None:
    rules.check_deed(Intent(guest=GUEST, deed=deed()), an_opening())
    with pytest.raises(Forbidden):
        rules.check_deed(intent, an_opening())


def test_another_host_gets_a_higher_number_and_the_one_before_is_cut_off() -> None:
    volume = rules.opened(with_one(), an_opening(host=OTHER_HOST, deed=2), (), NOW)
    (held,) = volume.attachments
    assert (held.host, held.deed, held.number, held.state) == (OTHER_HOST, 2, 4, S.ATTACHED)
    assert (volume.cut_off, volume.number_last) == ((3,), 4)


def test_a_number_is_above_all_that_it_is_served_under_whatever_is_known_of_that() -> None:
    served = (Export(volume=VOLUME, number=7, reader=OTHER_HOST),)
    volume = rules.opened(a_volume(attachments=(an_attachment(),)), an_opening(), served, NOW)
    assert volume.attachments[0].number == 8 and volume.number_last == 8


def test_an_attachment_that_was_lost_here_is_taken_up_as_its_host_has_it() -> None:
    served = (Export(volume=VOLUME, number=7, reader=HOST),)
    volume = rules.opened(a_volume(), an_opening(number=7), served, NOW)
    (held,) = volume.attachments
    assert (held.id, held.guest, held.number, held.device, volume.number_last) == (A, GUEST, 7, "/dev/vdb", 7)
    foreign = rules.opened(a_volume(), an_opening(number=7, host=OTHER_HOST), served, NOW)
    assert foreign.attachments[0].number == 8, "a number that another host has isn't taken on a host's word"
    cut = a_volume(number_last=9, cut_off=(7,))
    assert rules.opened(cut, an_opening(number=7), served, NOW).attachments[0].number == 10


def test_what_is_served_and_known_to_nobody_is_told_apart() -> None:
    exports = tuple(Export(volume=VOLUME, number=number, reader=HOST) for number in (3, 4, 5))
    exports += (Export(volume=uid(2), number=6, reader=HOST),)
    volume = replace(with_one(), cut_off=(4,))
    assert rules.strangers(volume, exports) == (5,)
    after = rules.strangers_cut_off(volume, (5,), NOW)
    assert (after.cut_off, after.number_last) == ((4, 5), 5)


def test_a_guest_that_has_moved_is_looked_for_at_its_new_host() -> None:
    volume = rules.found_at(with_one(), A, OTHER_HOST, "d", NOW)
    assert (volume.attachments[0].host, volume.attachments[0].cluster) == (OTHER_HOST, "d")
    assert rules.found_at(volume, A, OTHER_HOST, "d", NOW) is volume
