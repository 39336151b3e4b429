"""Who is let in, and with what: the rules of invitations and passports."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.codec import encode
from freehold.vocabulary.errors import BadRequest, Conflict, Unauthorized
from freehold.vocabulary.machine import PASSPORT_LIFE_S, Enroll, Invite, Machine, MachineRequest, mac
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import clock_time, unix_ms
from freehold.workers.directory import lifecycle
from freehold.workers.directory.lifecycle import Invitation

NOW = clock_time(1_000_000)
HOST = Invite(name="h1", roles=("host",), cluster="c", life_s=60)
SECRET = Secret("s3cret")
REQUEST = encode(MachineRequest(key=bytes(32), stores=("store-1",)))
OPEN = Invitation(id="i", secret=SECRET, name="h1", roles=("host",), cluster="c", expires_ms=unix_ms(NOW) + 60_000)
KNOWN = Machine(
    id="m", name="h1", roles=("host",), cluster="c", stores=("store-1",), key=b"k", enrolled=1, expires_ms=9
)


def enroll(request: bytes = REQUEST, secret: Secret = SECRET) -> Enroll:
    return Enroll(invitation="i", request=request, mac=mac(secret, request))


def later(seconds: float) -> int:
    return clock_time(unix_ms(NOW) + round(seconds * 1000))


def test_an_invitation_says_what_its_machine_may_be() -> None:
    made = lifecycle.invited(HOST, [], "i", SECRET, NOW)
    assert made == OPEN
    machine = lifecycle.enrolled(made, lifecycle.admitted(made, enroll(), NOW), "m", NOW)
    assert (machine.name, machine.roles, machine.cluster, machine.stores) == ("h1", ("host",), "c", ("store-1",))
    passport = lifecycle.passport_of(machine, NOW)
    assert passport.expires_ms - passport.issued_ms == PASSPORT_LIFE_S * 1000
    assert (passport.machine, passport.key, passport.stores) == ("m", bytes(32), ("store-1",))


@pytest.mark.parametrize(
    "changes",
    [
        {"roles": ()},
        {"roles": ("king",)},
        {"name": ""},
        {"name": "a\0b"},
        {"cluster": ""},
        {"cluster": "c.>"},
        {"cluster": "*"},
        {"life_s": 0.0},
    ],
    ids=str,
)
def test_an_invitation_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        lifecycle.invited(replace(HOST, **changes), [], "i", SECRET, NOW)


def test_a_name_is_one_machines_until_it_is_barred() -> None:
    with pytest.raises(Conflict, match="bar it first"):
        lifecycle.invited(HOST, [KNOWN], "i", SECRET, NOW)
    assert lifecycle.invited(HOST, [lifecycle.barred(KNOWN, NOW)], "i", SECRET, NOW)


def test_an_invitation_is_taken_up_with_its_secret_and_in_time() -> None:
    assert lifecycle.admitted(OPEN, enroll(), NOW).key == bytes(32)
    for invitation, asked, now in (
        (None, enroll(), NOW),
        (OPEN, enroll(secret=Secret("another")), NOW),
        (OPEN, replace(enroll(), request=encode(MachineRequest(key=bytes(32)))), NOW),
        (OPEN, enroll(), later(60)),
    ):
        with pytest.raises(Unauthorized, match="can't be used"):
            lifecycle.admitted(invitation, asked, now)


def test_an_invitation_serves_one_machine() -> None:
    used = replace(OPEN, request=REQUEST, machine="m")
    assert lifecycle.admitted(used, enroll(), NOW).key == bytes(32), "asked again by the same"
    with pytest.raises(Conflict, match="bar it"):
        lifecycle.admitted(used, enroll(encode(MachineRequest(key=bytes([1]) * 32))), NOW)


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense",
        encode(MachineRequest(key=b"short")),
        encode(MachineRequest(key=bytes(32), stores=("a.b",))),
        encode(MachineRequest(key=bytes(32), stores=("*",))),
        encode(MachineRequest(key=bytes(32), stores=("",))),
        encode(MachineRequest(key=bytes(32), stores=("s",) * 1001)),
    ],
    ids=["nonsense", "short key", "dot", "star", "empty", "many"],
)
def test_a_request_that_would_reach_too_far_is_refused(request_: bytes) -> None:
    """A store's id becomes part of subjects."""
    with pytest.raises(BadRequest):
        lifecycle.requested(request_)


def test_a_store_is_one_machines() -> None:
    request = MachineRequest(key=bytes(32), stores=("store-1",))
    with pytest.raises(Conflict, match="store-1"):
        lifecycle.check_stores(request, [KNOWN])
    lifecycle.check_stores(request, [KNOWN], but="m")
    lifecycle.check_stores(request, [lifecycle.barred(KNOWN, NOW)])


def test_who_is_barred_gets_no_passport_and_is_named_until_the_last_has_ended() -> None:
    known = replace(KNOWN, expires_ms=unix_ms(NOW) + 1000)
    shut_out = lifecycle.barred(known, NOW)
    assert lifecycle.barred(shut_out, later(5)) is shut_out
    for machine in (None, shut_out):
        with pytest.raises(Unauthorized):
            lifecycle.renewed(machine, MachineRequest(key=bytes(32)), NOW)
    assert lifecycle.still_barred([known, shut_out], NOW) == ("m",)
    assert lifecycle.still_barred([shut_out], later(2)) == ()


def test_every_key_of_who_was_shut_out_is_refused_until_its_last_passport_ends() -> None:
    first = replace(KNOWN, key=b"1", expires_ms=unix_ms(NOW) + 5000)
    second = lifecycle.renewed(first, MachineRequest(key=b"2"), NOW)
    third = lifecycle.renewed(second, MachineRequest(key=b"3"), later(4))
    again = lifecycle.renewed(third, MachineRequest(key=b"3"), later(4))
    assert [key.key for key in again.earlier] == [b"1", b"2"] and again.key == b"3"
    assert lifecycle.refused_keys([again], NOW) == {}
    shut_out = lifecycle.barred(again, later(4))
    assert lifecycle.refused_keys([shut_out], later(4)) == {
        b"1": first.expires_ms,
        b"2": second.expires_ms,
        b"3": third.expires_ms,
    }
    assert set(lifecycle.refused_keys([shut_out], later(6))) == {b"2", b"3"}
    assert [key.key for key in lifecycle.renewed(third, MachineRequest(key=b"4"), later(6)).earlier] == [b"2", b"3"]


def test_of_very_many_keys_those_that_were_shut_out_last_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "REFUSED_MAX", 2)
    known = [replace(KNOWN, key=b"%d" % n, expires_ms=unix_ms(NOW) + 1000, barred=n) for n in (1, 3, 2)]
    assert set(lifecycle.refused_keys(known, NOW)) == {b"3", b"2"}
