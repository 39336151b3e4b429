"""The feed: a table of what an entry of a log tells people, and what it must not."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.api.compute.server_view import Server, shown
from freehold.views.feed import KINDS_TOLD, TYPES, Event, envelope, event_of, guest_word, is_given
from freehold.vocabulary.codec import OWNED_BY, encode, kind_of
from freehold.vocabulary.envelope import NO_DIGEST, Entry, Owner
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import Action, GuestState, Labels
from freehold.vocabulary.image import Image, ImageStatus
from freehold.vocabulary.network import FixedAddress, Lease, Network, Port
from freehold.vocabulary.request import Admission, Request, Stage
from freehold.vocabulary.units import clock_time
from freehold.vocabulary.word import Word
from freehold.workers.registrar import lifecycle
from tests.owners import a_build, a_deed, a_guest

S = GuestState
FULL = Fault(code="NoRoom", message="Host h1.rack7 has 3 vCPUs free")
GUEST = a_guest("g", "h1", state=S.LAUNCHING, launched=None, working_for="urn:1")
REQUEST = lifecycle.create_request(a_build(guest="g"))
ADMISSION = replace(lifecycle.admitted(a_build(guest="g")), deed=a_deed("g"), stage=Stage.SCHEDULED)
ACTION = Action(guest="g", project="p", urn="urn:2", action="stop", user="u", deed=1, started=1)
LEASE = Lease(urn="urn:1", guest="g", deed=1)
FREE = Port(id="x", project="p", network="n", mac="m", addresses=(FixedAddress(subnet="s", address="10.0.0.9"),))
PORT = replace(FREE, device="g", deed=1, made_for=LEASE)
NETWORK = Network(id="n", name="net", project="p", cluster="c")
IMAGE = Image(id="i", name="tiny", project="p")


def told(was: Word | None, now: Word | None, *, store: str = "s", epoch: str = "e", seq: int = 7) -> Event | None:
    about = now or was
    assert about is not None
    kind = kind_of(about)
    value = None if now is None else encode(now)
    entry = Entry(seq, clock_time(1_700_000_000_123), kind, "key", value, "", NO_DIGEST)
    owner = Owner(store=store, role=OWNED_BY[kind], cluster="c")
    return event_of(owner, epoch, entry, None if was is None else encode(was))


def come_to(stage: Stage, *, fault: Fault | None = None) -> Request:
    return lifecycle.staged(REQUEST, stage, 5, fault)


@pytest.mark.parametrize(
    ("was", "now", "kind"),
    [
        (None, replace(GUEST, state=S.FETCHING_IMAGE), "guest.building"),
        (replace(GUEST, state=S.FETCHING_IMAGE), GUEST, ""),
        (GUEST, replace(GUEST, state=S.RUNNING, launched=1), "guest.active"),
        (a_guest("g", "h1"), a_guest("g", "h1", state=S.SHUTTING_DOWN), "guest.stopping"),
        (a_guest("g", "h1", state=S.SHUTTING_DOWN), a_guest("g", "h1", state=S.STOPPING), ""),
        (a_guest("g", "h1", state=S.STOPPING), a_guest("g", "h1", state=S.STOPPED), "guest.stopped"),
        (a_guest("g", "h1", state=S.STOPPED), a_guest("g", "h1", state=S.WIRING), "guest.starting"),
        (a_guest("g", "h1"), a_guest("g", "h1", state=S.REBOOTING_HARD), "guest.rebooting"),
        (a_guest("g", "h1"), a_guest("g", "h1", state=S.CRASHED), "guest.error"),
        (a_guest("g", "h1"), a_guest("g", "h1", state=S.DELETING), ""),
        (a_guest("g", "h1"), a_guest("g", "h1", updated=9), ""),
        (a_guest("g", "h1"), a_guest("g", "h1", labels=Labels(name="new")), "guest.updated"),
        (a_guest("g", "h1"), None, ""),
        (None, ACTION, "request.started"),
        (ACTION, replace(ACTION, finished=2), "request.done"),
        (ACTION, replace(ACTION, finished=2, fault=FULL), "request.failed"),
        (replace(ACTION, finished=2), replace(ACTION, finished=2, deed=2), ""),
        (None, replace(ACTION, action="create"), ""),
        (None, REQUEST, "request.admitted"),
        (REQUEST, come_to(Stage.SCHEDULED), "request.scheduled"),
        (come_to(Stage.SCHEDULED), lifecycle.staged(come_to(Stage.SCHEDULED), Stage.ADMITTED, 6), ""),
        (come_to(Stage.SCHEDULED), come_to(Stage.BUILDING), "request.building"),
        (come_to(Stage.BUILDING), come_to(Stage.ACTIVE), "request.active"),
        (come_to(Stage.BUILDING), come_to(Stage.FAILED, fault=FULL), "request.failed"),
        (come_to(Stage.BUILDING), lifecycle.ended(come_to(Stage.BUILDING), 9, FULL), "request.failed"),
        (None, lifecycle.delete_request(ADMISSION, "u", "urn:3", 5, ended=False), "request.deleting"),
        (None, lifecycle.delete_request(ADMISSION, "u", "urn:3", 5, ended=True), "request.done"),
        (None, ADMISSION, ""),
        (ADMISSION, replace(ADMISSION, attempts=2, refused=(FULL,)), "request.refused"),
        (ADMISSION, replace(ADMISSION, stage=Stage.FAILED, fault=FULL), "guest.error"),
        (ADMISSION, replace(ADMISSION, delete_urn="urn:3"), "guest.deleting"),
        (ADMISSION, None, "guest.deleted"),
        (None, PORT, "guest.addressed"),
        (FREE, PORT, "guest.addressed"),
        (PORT, replace(PORT, active=True), ""),
        (PORT, None, ""),
        (None, FREE, "port.created"),
        (FREE, None, "port.deleted"),
        (None, NETWORK, "network.created"),
        (NETWORK, replace(NETWORK, name="other"), "network.updated"),
        (NETWORK, None, "network.deleted"),
        (None, IMAGE, "image.created"),
        (IMAGE, replace(IMAGE, status=ImageStatus.ACTIVE), "image.active"),
        (IMAGE, replace(IMAGE, name="other"), "image.updated"),
        (IMAGE, None, "image.deleted"),
    ],
)
def test_what_an_entry_tells(was: Word | None, now: Word | None, kind: str) -> None:
    event = told(was, now)
    assert ("" if event is None else event.type) == (f"freehold.{kind}" if kind else "")
    assert event is None or event.type in TYPES


def test_every_kind_that_is_told_has_an_owner() -> None:
    assert set(KINDS_TOLD) == {"guest", "action", "request", "admission", "port", "network", "image"}


@pytest.mark.parametrize("state", list(GuestState))
def test_the_status_is_what_nova_shows(state: GuestState) -> None:
    for launched in (None, 1):
        guest = a_guest("g", "h1", state=state, launched=launched)
        event = told(None, guest)
        if event is not None:
            assert event.data["status"] == shown(Server(ADMISSION, guest)).status, (state, guest_word(guest))


def test_an_id_is_of_store_epoch_and_sequence_and_shows_no_host() -> None:
    guest = replace(GUEST, state=S.RUNNING)
    one = told(None, guest)
    assert one is not None and one == told(None, guest)
    others = [told(None, guest, store="t"), told(None, guest, epoch="f"), told(None, guest, seq=8)]
    assert len({one.id, *(other.id for other in others if other)}) == 4
    elsewhere = told(None, replace(guest, project="another"))
    assert elsewhere is not None and elsewhere.id != one.id


def test_nothing_of_the_host_is_told() -> None:
    for event in (
        told(None, replace(GUEST, host="host-7")),
        told(ADMISSION, replace(ADMISSION, attempts=2, refused=(FULL,), refused_hosts=("host-7",))),
        told(None, replace(ACTION, urn="urn:9")),
    ):
        assert event is not None
        text = json.dumps(envelope(event))
        assert "host-7" not in text and "rack7" not in text and "deed" not in text


def test_a_reason_that_concerns_the_request_is_told_as_it_is() -> None:
    small = Fault(code="BadRequest", message="Image i needs a disk of 9 GiB; flavor tiny has 1.")
    event = told(ADMISSION, replace(ADMISSION, attempts=2, refused=(small,)))
    assert event is not None and event.data["reason"]["message"] == small.message and event.data["attempt"] == 1


def test_addresses_are_the_network_workers() -> None:
    event = told(None, PORT)
    assert event is not None and event.subject == ("guest", "g")
    assert event.data["addresses"] == ["10.0.0.9"] and event.request == "urn:1"


def test_another_role_tells_nothing() -> None:
    entry = Entry(1, 1, "admission", "g", encode(ADMISSION), "", NO_DIGEST)
    assert (
        event_of(Owner(store="s", role="host", cluster="c"), "e", entry, encode(replace(ADMISSION, attempts=0))) is None
    )


def test_what_cannot_be_read_tells_nothing() -> None:
    entry = Entry(1, 1, "guest", "g", b"\xc1", "", NO_DIGEST)
    assert event_of(Owner(store="s", role="host", cluster="c"), "e", entry, None) is None


@pytest.mark.parametrize(
    ("host", "deed", "admission", "given"),
    [
        ("h1", 1, ADMISSION, True),
        ("h1", 2, ADMISSION, False),
        ("h2", 1, ADMISSION, False),
        ("h1", 1, replace(ADMISSION, deed=a_deed("g", 2, "h2"), refused_hosts=("h1",)), True),
        ("h1", 1, replace(ADMISSION, deed=None), False),
        ("h1", 1, replace(ADMISSION, project="another"), False),
        ("h1", 1, None, False),
    ],
)
def test_a_host_tells_of_guests_it_was_given(host: str, deed: int, admission: Admission | None, given: bool) -> None:
    event = told(None, replace(GUEST, host=host, deed=deed), store=host)
    assert event is not None
    assert is_given(Owner(store=host, role="host", cluster="c"), event, admission) is given


def test_a_registrar_needs_no_deed() -> None:
    event = told(None, REQUEST)
    assert event is not None and is_given(Owner(store="r", role="registrar", cluster="c"), event, None)


def test_the_envelope_is_a_cloud_event() -> None:
    event = told(None, replace(GUEST, state=S.RUNNING, launched=1))
    assert event is not None
    shown_as: dict[str, Any] = envelope(event)
    assert shown_as == {
        "specversion": "1.0",
        "id": event.id,
        "source": "/freehold/projects/p",
        "type": "freehold.guest.active",
        "subject": "guest/g",
        "time": "2023-11-14T22:13:20.123Z",
        "datacontenttype": "application/json",
        "data": {"id": "g", "name": "g", "status": "ACTIVE", "request": "urn:1"},
    }
