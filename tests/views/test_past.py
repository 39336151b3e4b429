"""A view of a moment that is over: as the view of now would have shown it, from memory."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.store.database import put
from freehold.views.past import Moment, PastReader, PastView, Wanted
from freehold.vocabulary.codec import encode
from freehold.vocabulary.envelope import Owner, Row
from freehold.vocabulary.errors import BadRequest, NotFound, TooOld, Unavailable
from freehold.vocabulary.guest import Guest
from freehold.vocabulary.tenant import Project
from freehold.vocabulary.units import clock_time
from freehold.workers.base import FRAME_BYTES_MAX, Desk
from freehold.workers.registrar.lifecycle import admitted
from tests.owners import HandClock, a_build, a_deed, a_guest, means_of, store_at


def row(key: str, deed: int = 1, project: str = "p", created: int = 0) -> Row:
    return Row("guest", key, 1, encode(a_guest(key, f"h{deed}", deed, project=project, created=created)))


def listed(view: PastView, project: str | None = "p", after: str = "", newest_first: bool = False) -> list[str]:
    return [guest.id for guest in view.list(Guest, project, after=after, newest_first=newest_first)]


def test_lists_are_in_order_of_creation_within_a_project() -> None:
    view = PastView()
    places = (("x", "p", 3), ("a", "p", 7), ("m", "p", 5), ("other", "q", 4))
    view.add([row(key, project=project, created=created) for key, project, created in places])
    assert listed(view) == ["x", "m", "a"] and listed(view, newest_first=True) == ["a", "m", "x"]
    assert listed(view, None) == ["x", "m", "a", "other"]
    assert listed(view, after="m") == ["a"] and listed(view, after="m", newest_first=True) == ["x"]
    assert [guest.id for guest in view.keyed(Guest, "o")] == ["other"]
    with pytest.raises(NotFound):
        listed(view, after="unknown")


@pytest.mark.parametrize("deeds", [(1, 2), (2, 1)])
def test_the_record_under_the_highest_deed_is_shown(deeds: tuple[int, int]) -> None:
    view = PastView()
    for deed in deeds:
        view.add([row("g", deed)])
    guest = view.get(Guest, "g")
    assert guest is not None and guest.host == "h2"


async def test_a_long_state_comes_in_pages_of_one_moment(tmp_path: Path) -> None:
    clock = HandClock()
    means = means_of(clock=clock)
    store = await store_at(tmp_path / "s.db", means)
    desk = Desk(means, store, "box")
    await desk.open()
    size = FRAME_BYTES_MAX // 3
    await store.commit([put(f"{n}", Project(id=f"{n}", name="then", description="d" * size)) for n in range(7)], "t")
    moment = Moment(clock_time(clock.unix_ms(), 0xFFFF))
    clock.move(1)
    reader = PastReader(means.bus, moment)
    reading = asyncio.create_task(reader.read([Wanted(store.owner, "box", ("project",))]))
    await store.commit([put(f"{n}", Project(id=f"{n}", name="now")) for n in range(9)], "t")
    view = PastView()
    view.add(await reading)
    assert [project.name for project in view.list(Project)] == ["then"] * 7

    nowhere = Wanted(Owner(store="0" * 36, role="host", cluster="c"), "host gone", ("guest",))
    with pytest.raises(Unavailable, match="host gone can't be asked"):
        await reader.read([Wanted(store.owner, "box", ("project",)), nowhere])
    with pytest.raises(BadRequest, match="no such position"):
        await reader.time_at(store.owner, "box", 1000)
    await store.compact(tail=1)
    with pytest.raises(TooOld, match="The box doesn't know any more"):
        await reader.read([Wanted(store.owner, "box", ("project",))])
    await desk.close()
    await store.close()
    await means.bus.close()


async def test_an_owner_whose_clock_is_far_behind_says_so(tmp_path: Path) -> None:
    means = means_of()
    store = await store_at(tmp_path / "s.db", means)
    desk = Desk(means, store, "box")
    await desk.open()
    wanted = [Wanted(store.owner, "box", ("project",))]
    now_ms = means.clock.clock.unix_ms()
    with pytest.raises(Unavailable, match="clock of the registrar box is behind"):
        await PastReader(means.bus, Moment(clock_time(now_ms + 3_600_000))).read(wanted)
    slightly = Moment(clock_time(now_ms + 1000))
    assert await PastReader(means.bus, slightly).read(wanted) == []
    await store.commit([put("a", Project(id="a", name="a"))], "t")
    assert await PastReader(means.bus, slightly).read(wanted) == [], "the same moment was answered otherwise"
    await desk.close()
    await store.close()
    await means.bus.close()


def test_the_host_that_the_ledger_named_then_is_shown_whatever_another_claims() -> None:
    view = PastView()
    admission = replace(admitted(a_build(guest="g")), deed=a_deed("g", 2, "h2"))
    view.add([Row("admission", "g", 1, encode(admission))])
    for deed in (99, 2, 1):
        view.add([row("g", deed)])
    guest = view.get(Guest, "g")
    assert guest is not None and guest.host == "h2"


async def test_what_was_not_an_owners_to_tell_then_is_left_out(tmp_path: Path) -> None:
    means = means_of()
    store = await store_at(tmp_path / "h.db", means, role="host")
    desk = Desk(means, store, "h")
    await desk.open()
    mine, theirs = a_guest("mine", store.id), a_guest("theirs", "another")
    await store.commit([put("mine", mine), put("theirs", theirs), put("p", Project(id="p", name="p"))], "t")
    wanted = [Wanted(store.owner, "h", ("guest", "project"))]
    found = await PastReader(means.bus, Moment(clock_time(means.clock.clock.unix_ms() + 1000))).read(wanted)
    assert [one.key for one in found] == ["mine"]
    await desk.close()
    await store.close()
    await means.bus.close()
