"""Heartbeats of hosts that a network worker passes on: fewer messages, and the same is known of everybody."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.store.database import Store, put
from freehold.views.believed import OTHER_HOST
from freehold.views.follower import Follower
from freehold.vocabulary.envelope import Beats, Heartbeat, Hello, Owner, Passed, PassOn, Position
from freehold.vocabulary.errors import Forbidden, NoAnswer
from freehold.workers.base import HEARTBEAT_PERIOD_S, PASS_ON_S, Desk
from freehold.workers.network import gathering
from freehold.workers.network.gathering import PAUSE_S, PAUSE_SOON_S, Gathering
from tests.owners import Folded, HandClock, a_guest, kept, means_of, store_at, turns, until

HOSTS = 5
WORKER = Owner(cluster="c", role="network", store="n")


class Cluster:
    """Hosts with their desks, a reader of them, and all that was said of heartbeats."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, HandClock()
        self.means = dataclasses.replace(means_of(clock=self.clock), gathers=True)
        self.gathering = Gathering(self.means, WORKER)
        self.sink = Folded()
        self.reader = Follower(self.means.bus, ["host"], self.sink)
        self.direct: list[Heartbeat] = []
        self.passed_on: list[Beats] = []
        self.hosts: list[Store] = []
        self.desks: list[Desk] = []

    async def open(self, stack: AsyncExitStack) -> None:
        await talk.hear(self.means.bus, subjects.HEARTBEATS, Heartbeat, self._hear)
        await talk.hear(self.means.bus, subjects.beats_of(), Beats, self._hear_beats)
        await self.reader.open()
        stack.push_async_callback(self.reader.close)
        for number in range(HOSTS):
            store = await store_at(self.folder / f"{number}.db", self.means, role="host")
            stack.push_async_callback(store.close)
            self.hosts.append(store)
            self.desks.append(Desk(self.means, store, f"host-{number}"))

    async def start_hosts(self, stack: AsyncExitStack) -> None:
        for desk in self.desks:
            await desk.open()
            stack.push_async_callback(desk.close)
        await turns()

    async def start_gathering(self, stack: AsyncExitStack) -> None:
        await self.gathering.open()
        stack.push_async_callback(self.gathering.close)

    async def _hear(self, beat: Heartbeat) -> None:
        self.direct.append(beat)

    async def _hear_beats(self, beats: Beats) -> None:
        self.passed_on.append(beats)

    async def all_is_known(self) -> None:
        await until(lambda: all(self.sink.rows.get(store.id) == kept(store) for store in self.hosts))


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def cluster(tmp_path: Path, stack: AsyncExitStack) -> Cluster:
    made = Cluster(tmp_path)
    await made.open(stack)
    return made


async def test_many_heartbeats_are_one_message(cluster: Cluster, stack: AsyncExitStack) -> None:
    await cluster.start_gathering(stack)
    await cluster.start_hosts(stack)
    assert not cluster.passed_on
    cluster.clock.move(PAUSE_S)
    await until(lambda: cluster.passed_on)
    (said,) = cluster.passed_on
    assert said.owner == WORKER and {beat.owner.store for beat in said.beats} == {store.id for store in cluster.hosts}
    assert not cluster.direct


async def test_a_lost_last_event_is_found_by_a_heartbeat_that_was_passed_on(
    cluster: Cluster, stack: AsyncExitStack
) -> None:
    await cluster.start_gathering(stack)
    await cluster.start_hosts(stack)
    cluster.clock.move(PAUSE_S)
    await cluster.all_is_known()
    for desk in cluster.desks:
        desk._pauses = True  # what is told is lost
    host = cluster.hosts[0]
    await host.commit([put("g", a_guest("g", host.id))], "t")
    await turns()
    for desk in cluster.desks:
        desk._pauses = False
    cluster.clock.move(HEARTBEAT_PERIOD_S * 1.3)
    await turns()
    cluster.clock.move(PAUSE_S)
    await cluster.all_is_known()
    assert not cluster.direct


async def test_of_a_host_that_beats_twice_the_newest_is_passed_on(cluster: Cluster, stack: AsyncExitStack) -> None:
    await cluster.start_gathering(stack)
    owner = cluster.hosts[0].owner
    for number in range(3):
        beat = Heartbeat(owner=owner, position=Position(epoch="e", seq=number), time=number)
        await talk.ask(cluster.means.bus, subjects.ask_beats(owner), PassOn(beat=beat), Passed)
    cluster.clock.move(PAUSE_S)
    await until(lambda: cluster.passed_on)
    assert [beat.position.seq for beat in cluster.passed_on[0].beats] == [2]


async def test_readers_that_have_come_wait_for_less(cluster: Cluster, stack: AsyncExitStack) -> None:
    await cluster.start_gathering(stack)
    await cluster.start_hosts(stack)
    cluster.clock.move(PAUSE_S)
    await until(lambda: cluster.passed_on)
    await talk.say(cluster.means.bus, subjects.hello("host"), Hello())
    await turns()
    cluster.clock.move(PAUSE_SOON_S)
    await until(lambda: len(cluster.passed_on) == 2)
    assert len(cluster.passed_on[1].beats) == HOSTS


async def test_no_message_is_too_large(
    cluster: Cluster, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "BEATS_MAX", 2)
    await cluster.start_gathering(stack)
    await cluster.start_hosts(stack)
    cluster.clock.move(PAUSE_S)
    await until(lambda: len(cluster.passed_on) == 3)
    assert sorted(len(said.beats) for said in cluster.passed_on) == [1, 2, 2]


async def test_who_closes_passes_on_what_it_has_taken(cluster: Cluster, stack: AsyncExitStack) -> None:
    await cluster.gathering.open()
    await cluster.start_hosts(stack)
    await cluster.gathering.close()
    await until(lambda: cluster.passed_on)


async def test_without_a_network_worker_a_host_tells_everybody_itself(cluster: Cluster, stack: AsyncExitStack) -> None:
    await cluster.start_hosts(stack)
    await cluster.all_is_known()
    assert len(cluster.direct) == HOSTS and not cluster.passed_on


async def test_a_network_worker_that_hangs_isnt_waited_for(cluster: Cluster, stack: AsyncExitStack) -> None:
    async def hang(_asked: PassOn) -> Passed:
        raise NoAnswer(f"no answer within {PASS_ON_S:g} s")

    await talk.serve(cluster.means.bus, subjects.ask_beats_of("c"), PassOn, hang, "beats")
    await cluster.start_hosts(stack)
    await cluster.all_is_known()
    assert len(cluster.direct) == HOSTS


async def test_nobody_has_anothers_heartbeat_passed_on(cluster: Cluster, stack: AsyncExitStack) -> None:
    await cluster.start_gathering(stack)
    own, other = cluster.hosts[0].owner, cluster.hosts[1].owner
    beat = Heartbeat(owner=other, position=Position(epoch="made up"), time=1)
    with pytest.raises(Forbidden):
        await talk.ask(cluster.means.bus, subjects.ask_beats(own), PassOn(beat=beat), Passed)


@pytest.mark.parametrize("change", [{"cluster": "other"}, {"role": "registrar"}])
async def test_a_network_worker_speaks_for_the_hosts_of_its_own_cluster_alone(
    cluster: Cluster, stack: AsyncExitStack, change: dict[str, str]
) -> None:
    other = replace(Owner(cluster="c", role="host", store="x"), **change)
    beat = Heartbeat(owner=other, position=Position(epoch="made up"), time=1)
    await talk.say(cluster.means.bus, subjects.beats(WORKER), Beats(owner=WORKER, beats=(beat,)))
    await until(lambda: cluster.reader.refused_of(WORKER.store))
    assert cluster.reader.refused_of(WORKER.store) == {OTHER_HOST: 1}
    assert not cluster.reader.questions
