"""The rules of a guest's volumes on its host."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.attachment import GuestVolume, PlugVolume
from freehold.vocabulary.errors import Conflict
from freehold.vocabulary.guest import Guest
from freehold.workers.host import volumes
from freehold.workers.host.lifecycle import decide
from freehold.workers.host.messages import PlugAsked, UnplugAsked, Unplugged
from tests.workers.host.bench import GUEST, PROJECT
from tests.workers.host.test_lifecycle import NOW, S, a_guest


def a_disk(number: int = 1, **fields: Any) -> GuestVolume:
    given: dict[str, Any] = {"store": "s", "cluster": "c", "size_gib": 1, "device": "/dev/vdb"}
    return GuestVolume(attachment=f"a{number}", volume=f"v{number}", urn=f"urn:a{number}", **{**given, **fields})


def plug(disk: GuestVolume) -> PlugAsked:
    return PlugAsked(PlugVolume(guest=GUEST, project=PROJECT, user="u", disk=disk))


def with_disks(*disks: GuestVolume) -> Guest:
    return a_guest(S.RUNNING, volumes=disks)


def test_a_guest_is_given_a_volume_once_and_that_is_noted_as_done() -> None:
    decision = decide(with_disks(), plug(a_disk(leaving=True)), NOW + 1)
    assert decision.guest is not None and decision.guest.volumes == (a_disk(),)
    assert decision.guest.state is S.RUNNING and decision.guest.updated == NOW + 1
    action = decision.started
    assert action is not None
    assert (action.action, action.urn, action.user, action.finished) == ("attach_volume", "urn:a1", "u", NOW + 1)
    assert decide(with_disks(a_disk()), plug(a_disk()), NOW + 1).ignored


def test_a_volume_only_becomes_larger_and_that_is_no_action() -> None:
    decision = decide(with_disks(a_disk()), plug(a_disk(size_gib=3)), NOW + 1)
    assert decision.guest is not None and decision.guest.volumes == (a_disk(size_gib=3),) and decision.started is None
    assert decide(with_disks(a_disk(size_gib=3)), plug(a_disk()), NOW + 1).ignored


def test_there_is_a_most_and_no_volume_twice() -> None:
    full = with_disks(*(a_disk(number) for number in range(volumes.VOLUMES_MAX)))
    with pytest.raises(Conflict, match="the most"):
        decide(full, plug(a_disk(99)), NOW + 1)
    again = replace(a_disk(2), volume="v1")
    with pytest.raises(Conflict, match="still being taken"):
        decide(with_disks(a_disk(leaving=True)), plug(again), NOW + 1)


def test_a_volume_that_is_to_be_taken_leaves_and_is_gone_when_the_guest_let_go() -> None:
    leaving = decide(with_disks(a_disk(), a_disk(2)), UnplugAsked("a1", "urn:end", "u"), NOW + 1)
    assert leaving.guest is not None and leaving.guest.volumes == (a_disk(leaving=True), a_disk(2))
    assert leaving.started is not None and (leaving.started.action, leaving.started.urn) == ("detach_volume", "urn:end")
    assert decide(leaving.guest, UnplugAsked("a1", "urn:end", "u"), NOW + 2).ignored
    gone = decide(leaving.guest, Unplugged("a1"), NOW + 2)
    assert gone.guest is not None and gone.guest.volumes == (a_disk(2),) and gone.started is None
    for message in (UnplugAsked("a1", "urn:end", "u"), Unplugged("a1")):
        assert decide(gone.guest, message, NOW + 3).ignored
