"""Builds: what is taken, what is refused, and what of it is kept."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.store.database import put
from freehold.vocabulary.errors import BadRequest, Broken, Unavailable
from freehold.vocabulary.guest import (
    Action,
    GuestState,
    Power,
    Refusal,
)
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.request import Intent
from freehold.vocabulary.secret import Secret
from freehold.workers.host.reconciler import PERIOD_S
from tests.workers.host.bench import (
    GUEST,
    IMAGE,
    OTHER,
    Bench,
    a_spec,
    delete,
    settled,
    stop,
)

S = GuestState


async def test_a_build_comes_to_run(bench: Bench) -> None:
    guest = await bench.running()
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.power is Power.RUNNING and held.boots == 1 and held.disk_gib == 10
    assert guest.power is Power.RUNNING and guest.launched and not guest.working_for and guest.fault is None
    assert bench.fabric.lets_in(GUEST, "1.2.3.4", "tcp", 80)
    assert not bench.fabric.lets_in(GUEST, "1.2.3.4", "tcp", 22)
    action = bench.store.read_as(Action, f"{GUEST}/{guest.urn}")
    assert action is not None and action.action == "create" and action.finished and action.fault is None


async def test_secrets_stay_out_of_the_log(bench: Bench) -> None:
    await bench.send(bench.build(user_data=Secret("c2VjcmV0LWRhdGE="), admin_password=Secret("pass-word")))
    await bench.until(lambda: bench.state() is S.RUNNING)
    told = bench.store.told_about(GUEST).entries
    assert told
    for entry in told:
        for secret in (b"the-image-key", b"c2VjcmV0LWRhdGE=", b"pass-word"):
            assert secret not in (entry.value or b"")


async def test_the_same_build_again_is_the_same_guest(bench: Bench) -> None:
    await bench.running()
    seq = bench.store.position().seq
    await bench.send(bench.build(), told=False)
    held = bench.hypervisor.look(GUEST)
    assert bench.store.position().seq == seq
    assert held is not None and held.boots == 1


async def test_a_higher_deed_that_names_us_is_adopted(bench: Bench) -> None:
    await bench.running()
    await bench.send(bench.build(deed=2), told=False)
    assert (bench.guest().deed, bench.state()) == (2, S.RUNNING)


async def test_no_room_is_refused_on_disk(bench: Bench) -> None:
    await bench.running()
    await bench.send(bench.build(OTHER, spec=a_spec(ram_mib=3073)))
    assert bench.refusal(OTHER).fault.code == "NoRoom"
    assert bench.state(OTHER) is None
    await bench.kill()
    await bench.open()
    await bench.send(bench.build(OTHER), told=False)  # room enough, but under a deed that was refused
    assert bench.refusal(OTHER).deed == 1
    assert bench.state(OTHER) is None
    await bench.send(bench.build(OTHER, deed=2), told=False)
    await bench.until(lambda: bench.state(OTHER) is S.RUNNING)


async def test_a_host_that_lacks_a_trait_now_refuses_on_disk(bench: Bench) -> None:
    spec = a_spec()
    needy = replace(spec, flavor=replace(spec.flavor, extra_specs={"trait:CUSTOM_GPU": "required"}))
    await bench.send(bench.build(spec=needy))
    refusal = bench.refusal()
    assert refusal.fault.code == "Unavailable" and "lacks trait CUSTOM_GPU" in refusal.fault.message
    await bench.kill()
    bench.traits = ("CUSTOM_GPU",)
    await bench.open()
    assert "CUSTOM_GPU" in bench.host().traits and "COMPUTE_IMAGE_TYPE_RAW" in bench.host().traits
    await bench.send(bench.build(spec=needy), told=False)
    assert bench.state() is None, "what was refused stays so"
    await bench.send(bench.build(spec=needy, deed=2), told=False)
    await bench.until(lambda: bench.state() is S.RUNNING)


async def test_what_fits_exactly_fits(bench: Bench) -> None:
    await bench.send(bench.build(spec=a_spec(ram_mib=4096)))
    await bench.until(lambda: bench.state() is S.RUNNING)
    assert bench.host().free().ram_mib == 0


@pytest.mark.parametrize("wrong", ["host", "guest", "expired", "no deed", "no id"])
async def test_builds_that_are_not_ours_are_dropped(bench: Bench, wrong: str) -> None:
    build = bench.build()
    deed = build.deed
    assert deed is not None
    match wrong:
        case "host":
            build = replace(build, deed=replace(deed, host="another"))
        case "guest":
            build = replace(build, deed=replace(deed, guest=OTHER))
        case "expired":
            build = replace(build, expires=1)
        case "no deed":
            build = replace(build, deed=None)
        case "no id":
            build = replace(build, guest="../x", deed=replace(deed, guest="../x"))
    await bench.send(build, told=False)
    assert bench.guests() == {}
    assert bench.store.scan(Refusal) == []


@pytest.mark.parametrize("verb", ["make_disk", "launch"])
async def test_a_build_that_fails_is_taken_apart_and_refused(bench: Bench, verb: str) -> None:
    bench.hypervisor.fail(verb, Broken("the disk is on fire"))
    await bench.send(bench.build())
    await bench.until(lambda: bench.state() is None)
    assert bench.refusal().fault.message == "the disk is on fire" and not bench.refusal().deleted
    assert bench.hypervisor.look(GUEST) is None
    assert await bench.fabric.plugged() == frozenset()
    assert bench.store.scan(Action) == [] and bench.store.scan_private("build_secret") == []
    bench.check()


async def test_a_port_that_cannot_be_plugged_refuses_the_build(bench: Bench) -> None:
    bench.fabric.fail_plug = Broken("no bridge")
    await bench.send(bench.build())
    await bench.until(lambda: bench.state() is None)
    assert bench.refusal().fault.message == "no bridge"


async def test_an_image_that_cannot_be_fetched_is_tried_again_with_a_fresh_key_and_then_refused(bench: Bench) -> None:
    bench.images.faults[IMAGE] = Unavailable("no server")
    await bench.send(bench.build())
    await bench.clock.advance(1.5)
    assert bench.state() is S.FETCHING_IMAGE
    await bench.clock.advance(20)
    assert bench.state() is None
    assert bench.refusal().fault.message == "no server"


async def test_a_fetch_goes_on_with_the_key_that_a_repeated_build_brings(bench: Bench) -> None:
    keys: list[str] = []

    async def fetch(offer: ImageOffer) -> Path:
        keys.append(offer.key.reveal())
        if offer.key != Secret("fresh"):
            raise Unavailable("the key has expired")
        return Path("/simulated")

    bench.images.fetch = fetch  # type: ignore[method-assign]
    build = bench.build()
    assert build.image is not None
    await bench.send(build)
    await bench.send(replace(build, image=replace(build.image, key=Secret("fresh"))), told=False)
    await bench.clock.advance(2)
    assert bench.state() is S.RUNNING
    assert keys[:2] == ["the-image-key", "fresh"]
    assert all(b"fresh" not in value for _, value in bench.store.scan_private("build_secret")), "it isn't kept"


async def test_an_image_server_that_comes_back_is_waited_for(bench: Bench) -> None:
    bench.images.faults[IMAGE] = Unavailable("no server")
    await bench.send(bench.build())
    del bench.images.faults[IMAGE]
    await bench.clock.advance(2)
    assert bench.state() is S.RUNNING


async def test_a_removal_that_fails_is_tried_again(bench: Bench) -> None:
    await bench.running()
    bench.hypervisor.fail("remove", Broken("busy"))
    await bench.ask(delete())
    await settled()
    assert (bench.state(), bench.guest().fault) == (S.DELETING, Broken("busy").fault())
    await bench.clock.advance(PERIOD_S)
    assert bench.state() is None
    assert bench.refusal().deleted


async def test_a_disk_too_small_for_its_image_is_refused(bench: Bench) -> None:
    offer = bench.build().image
    assert offer is not None
    await bench.send(bench.build(image=replace(offer, virtual_bytes=11 << 30)))
    assert bench.refusal().fault.code == BadRequest.__name__


async def test_a_network_that_the_host_can_not_carry_is_refused_on_disk_with_the_reason(bench: Bench) -> None:
    build = bench.build()
    wired = tuple(replace(wiring, physical="public", segment=0) for wiring in build.ports)
    await bench.send(replace(build, ports=wired))
    refusal = bench.store.read_as(Refusal, GUEST)
    assert refusal is not None
    assert refusal.fault.message == "Host h can't carry the guest's network: it isn't on the physical network public."
    wide = tuple(replace(wiring, mtu=9000) for wiring in build.ports)
    await bench.send(replace(bench.build(OTHER), ports=tuple(replace(one, port=OTHER) for one in wide)))
    refusal = bench.store.read_as(Refusal, OTHER)
    assert refusal is not None and "room for an MTU of 1450 on its underlay, not 9000" in refusal.fault.message


async def test_nothing_is_built_over_an_old_copy_without_a_record_of_a_guest_that_had_left(bench: Bench) -> None:
    """It was evacuated, the disk with its record was lost, and the guest is given to this host again. What is here is
    from before that: it is neither the guest nor in anybody's way, and isn't destroyed when the build is withdrawn.
    """
    await bench.running()
    await bench.ask(stop(grace_s=0))
    await bench.until(lambda: bench.state() is S.STOPPED)
    await bench.kill()
    bench.lose_store()
    await bench.open()
    build = bench.build(deed=3)
    assert build.deed is not None
    bench.intents[GUEST] = Intent(guest=GUEST, deed=build.deed, left=True)
    await bench.send(build)
    await bench.until(lambda: bench.store.read_as(Refusal, GUEST) is not None)
    assert bench.state() is None and bench.refusal().deed == 3 and "old copy" in bench.refusal().fault.message
    await bench.ask(replace(delete(deed=4), unless_run=True, left=True))
    assert (bench.refusal().deed, bench.refusal().deleted) == (4, False)
    bench.intents[GUEST] = Intent(guest=GUEST, deed=replace(build.deed, number=4), refused_deed=4, left=True)
    await bench.clock.advance(5 * PERIOD_S)
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 1
    await bench.ask(replace(delete(deed=4, urn="delete-2"), left=True))
    assert bench.hypervisor.look(GUEST) is None, "it was deleted"


async def test_nothing_is_built_over_an_old_copy_however_often_its_host_has_refused_the_guest(bench: Bench) -> None:
    """It is given to this host once more, after it was refused for the sake of the copy; or before there was one."""
    await bench.running()
    await bench.kill()
    bench.lose_store()
    await bench.open()
    for number in (3, 5):
        build = bench.build(deed=number)
        assert build.deed is not None
        bench.intents[GUEST] = Intent(guest=GUEST, deed=build.deed, left=True)
        await bench.send(build)
        await bench.until(lambda: (held := bench.hypervisor.look(GUEST)) and held.power is Power.OFF)
        await bench.send(build)
        await bench.until(lambda deed=number: (found := bench.store.read_as(Refusal, GUEST)) and found.deed == deed)
        assert bench.state() is None and bench.refusal().kept_copy
    held = bench.hypervisor.look(GUEST)
    assert held is not None and held.boots == 1
    bench.store.stage([put(GUEST, replace(bench.refusal(), kept_copy=False))], "an old copy of the disk")
    build = bench.build(deed=6)
    assert build.deed is not None
    bench.intents[GUEST] = Intent(guest=GUEST, deed=build.deed, left=True)
    await bench.send(build)
    await bench.until(lambda: bench.refusal().deed == 6)
    assert bench.state() is None and bench.hypervisor.look(GUEST) == held


async def test_a_copy_that_runs_of_a_guest_that_had_left_is_off_before_the_guest_is_refused(bench: Bench) -> None:
    """Who hears of the refusal builds the guest elsewhere."""
    await bench.running()
    await bench.kill()
    bench.lose_store()
    await bench.open()
    build = bench.build(deed=3)
    bench.intents[GUEST] = Intent(guest=GUEST, deed=build.deed, left=True)
    bench.hypervisor.fail("stop", Broken("The hypervisor broke."))
    held = bench.hypervisor.look(GUEST)
    while held is not None and held.power is Power.RUNNING:
        await bench.send(build)
        await settled()
        if (held := bench.hypervisor.look(GUEST)) is not None and held.power is Power.RUNNING:
            assert bench.store.read_as(Refusal, GUEST) is None
    await bench.send(build)
    await bench.until(lambda: bench.store.read_as(Refusal, GUEST) is not None)
    assert bench.refusal().kept_copy


async def test_a_build_that_was_sent_before_a_start_is_not_taken_after_it(bench: Bench) -> None:
    """Its ports may have been given back since: the host had refused it, and its disk was put back to before that."""
    first = bench.host().incarnation
    late = replace(bench.build(), incarnation=first)
    await bench.kill()
    await bench.open()
    assert bench.host().incarnation not in ("", first)
    await bench.send(late)
    await settled()
    assert bench.state() is None and bench.store.read_as(Refusal, GUEST) is None
    await bench.send(replace(late, incarnation=bench.host().incarnation))
    await bench.until(lambda: bench.state() is S.RUNNING)
