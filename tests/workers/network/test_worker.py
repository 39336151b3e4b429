"""The worker over a real store and the local bus: questions, builds, evidence from hosts, and starting again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.bus.local import LocalBus
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.store.database import Store, drop, put
from freehold.store.writing import Change
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Conflict, NotFound
from freehold.vocabulary.guest import GuestState
from freehold.vocabulary.network import (
    Carrier,
    CreatePort,
    DeleteOf,
    Network,
    NetworkWanted,
    Port,
    SaveNetwork,
    SaveSubnet,
    SecurityGroup,
    Subnet,
)
from freehold.vocabulary.request import Build, GiveUp, Intent, IntentList, Intents
from freehold.vocabulary.word import Word
from freehold.workers.base import Desk, Means
from freehold.workers.network import worker as working
from freehold.workers.network.holdings import Sight
from freehold.workers.network.worker import NetworkWorker
from tests.owners import a_host
from tests.workers.network.rules_bench import CLUSTER, a_build, an_id, refused, shown


class House:
    """A bus with a network worker, a registrar that notes what it hears, and hosts that say what they are told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.means = Means(LocalBus(), HybridClock(SystemClock()), SystemChance(), offload_inline)
        self.given_up: list[GiveUp] = []
        self.heard: list[Build] = []
        self.ended: set[str] = set()
        """Guests of which the registrar says that nothing is left."""
        self.network_id = ""
        self.network: Store | None = None

    async def store(self, role: str, name: str, cluster: str = CLUSTER) -> Store:
        means = self.means
        return await Store.open(
            self.folder / f"{name}.db",
            role=role,
            cluster=cluster,
            clock=means.clock,
            chance=means.chance,
            offload=means.offload,
        )

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Store]:
        store = await self.store("network", "network")
        worker = NetworkWorker(self.means, store)
        await worker.open()
        self.network = store
        try:
            yield store
            assert worker.tasks.failed is None
        finally:
            await worker.close()
            await store.close()

    @asynccontextmanager
    async def host(self, name: str = "host", cluster: str = CLUSTER) -> AsyncIterator[Store]:
        store = await self.store("host", name, cluster)
        await store.commit([put(store.id, a_host(store.id, cluster=cluster, incarnation=f"{name} 1"))], "host started")
        desk = Desk(self.means, store, name)
        await desk.open()
        try:
            yield store
        finally:
            await desk.close()
            await store.close()

    async def listen(self, host: str) -> None:
        async def hear(build: Build) -> None:
            self.heard.append(build)

        async def take(question: GiveUp | Intents) -> Word:
            if isinstance(question, Intents):
                return IntentList(intents=tuple(Intent(guest=g, ended=g in self.ended) for g in question.guests))
            self.given_up.append(question)
            return Done(store="registrar", position=(await self._somewhere()).position)

        await talk.hear(self.means.bus, subjects.build_host(host), Build, hear)
        await talk.serve(self.means.bus, subjects.ask_ledger(0, "network"), GiveUp | Intents, take, "registrar")

    async def _somewhere(self) -> Done:
        return await self.ask(SaveNetwork(network=Network(id="", name="x", project="x", cluster=""), new=True))

    async def ask(self, question: Any) -> Done:
        return await talk.ask(self.means.bus, subjects.ask_network(CLUSTER), question, Done)

    async def with_network(self, cidr: str = "10.0.0.0/24") -> str:
        network = Network(id="", name="net", project="p", cluster="")
        self.network_id = (await self.ask(SaveNetwork(network=network, new=True))).key
        subnet = Subnet(id="", name="", project="p", network=self.network_id, cidr=cidr, gateway="", pools=())
        await self.ask(SaveSubnet(subnet=subnet, new=True))
        return self.network_id

    def incarnation(self, host: str) -> str | None:
        """Which of a host's the worker has heard last; None if it has heard none."""
        assert self.network is not None
        kept = self.network.read_as(Carrier, host)
        return None if kept is None else kept.incarnation

    async def build(self, host: str, **fields: Any) -> None:
        await until(lambda: self.incarnation(host) is not None)
        wanted = NetworkWanted(network=self.network_id)
        await talk.say(self.means.bus, subjects.build_network(CLUSTER), a_build(wanted, host=host, **fields))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def until(what: Callable[[], Any]) -> None:
    """Waits, at most ten seconds, until `what()` holds."""

    async def wait() -> None:
        while not what():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(wait(), 10)


async def running(house: House, host: Store, store: Store, guest: str = "g1") -> Port:
    """Builds the guest and has the host run it; its port."""
    await house.build(host.id, guest=guest)
    await until(lambda: any(build.guest == guest for build in house.heard))
    await host.commit([put(guest, shown(host.id, guest, 1))], "build")
    await until(lambda: any(port.device == guest and port.active for port in store.scan(Port)))
    return next(port for port in store.scan(Port) if port.device == guest)


async def test_what_is_answered_is_durable_and_told(house: House) -> None:
    async with house.worker() as store:
        key = await house.with_network()
        done = await house.ask(CreatePort(port=Port(id=an_id(1), project="p", network=key, mac="")))
        assert done.key == an_id(1) and done.store == store.id
        assert done.position.seq <= store.position().seq
        (entry,) = [e for e in store.told_about(an_id(1)).entries if e.kind == "port"]
        assert entry.cause == "CreatePort"
        with pytest.raises(Conflict):
            await house.ask(DeleteOf(kind="network", id=key))
        with pytest.raises(NotFound):
            await house.ask(DeleteOf(kind="port", id=an_id(2)))
        again = await house.ask(CreatePort(port=Port(id=an_id(1), project="p", network=key, mac="")))
        assert again.key == an_id(1)
        assert len(store.scan(Port)) == 1


async def test_nothing_is_answered_or_sent_on_before_it_is_on_disk(house: House) -> None:
    async with house.worker() as store, house.host() as host:
        await house.listen(host.id)
        key = await house.with_network()
        disk = asyncio.Event()

        async def slow(work: Callable[[], Any]) -> Any:
            await disk.wait()
            return work()

        store._offload = slow
        question = CreatePort(port=Port(id=an_id(1), project="p", network=key, mac=""))
        asked = [asyncio.create_task(house.ask(question)) for _ in range(2)]
        await house.build(host.id)
        await until(lambda: len(store.scan(Port)) == 2)
        for _ in range(50):
            await asyncio.sleep(0)
        assert not any(task.done() for task in asked) and not house.heard
        disk.set()
        assert {(await task).key for task in asked} == {an_id(1)}
        await until(lambda: house.heard)


async def test_a_build_whose_lease_ends_while_it_waits_for_the_disk_is_not_sent_on(house: House) -> None:
    async with house.worker() as store, house.host() as host:
        await house.listen(host.id)
        await house.with_network()
        disk = asyncio.Event()

        async def slow(work: Callable[[], Any]) -> Any:
            await disk.wait()
            return await offload_inline(work)

        store._offload = slow
        await house.build(host.id, guest="g1")
        await until(lambda: store.scan(Port))
        await host.commit([put("g1", refused("g1", 1))], "delete")
        await until(lambda: not store.scan(Port))
        await house.build(host.id, guest="g2")
        disk.set()
        await until(lambda: house.heard)
        assert [build.guest for build in house.heard] == ["g2"]


async def test_a_build_reaches_its_host_however_often_it_is_sent(house: House) -> None:
    async with house.worker() as store, house.host() as host:
        await house.listen(host.id)
        await house.with_network()
        for _ in range(3):
            await house.build(host.id)
        await until(lambda: len(house.heard) == 3)
        assert len({build.ports for build in house.heard}) == 1
        assert [port.id for port in store.scan(Port)] == [house.heard[0].ports[0].port]


async def test_a_build_is_sent_to_the_incarnation_of_its_host_that_was_heard_last(house: House) -> None:
    """What an earlier one has refused, and what was given back by that, may be missing on the disk of this one."""
    async with house.worker(), house.host() as host:
        await house.listen(host.id)
        await house.with_network()
        await house.build(host.id)
        await host.commit([put(host.id, a_host(host.id, cluster=CLUSTER, incarnation="host 2"))], "host started")
        await until(lambda: house.incarnation(host.id) == "host 2")
        await house.build(host.id)
        await until(lambda: len(house.heard) == 2)
        assert [build.incarnation for build in house.heard] == ["host 1", "host 2"]


async def test_hosts_that_an_older_release_has_heard_are_read_anew(house: House) -> None:
    async with house.host() as host:
        async with house.worker() as store:
            await house.listen(host.id)
            await house.with_network()
            await house.build(host.id)
            await until(lambda: house.heard)
            heard = store.read_as(Carrier, host.id)
            assert heard is not None
            await store.commit([put(host.id, replace(heard, incarnation=""))], "an older release")
        async with house.worker():
            await house.build(host.id)
            await until(lambda: len(house.heard) == 2)


async def test_a_host_of_an_older_release_gets_builds_that_name_no_incarnation(house: House) -> None:
    async with house.worker(), house.host() as host:
        await host.commit([put(host.id, a_host(host.id, cluster=CLUSTER))], "an older release")
        await house.listen(host.id)
        await house.with_network()
        await until(lambda: house.incarnation(host.id) == "")
        await house.build(host.id)
        await until(lambda: house.heard)
        assert house.heard[0].incarnation == ""


async def test_no_build_is_sent_to_a_host_that_was_never_heard(house: House) -> None:
    """Whether it has refused the guest, and its ports were given back by that, isn't known then."""
    async with house.worker() as store, house.host() as host:
        await house.listen("unheard")
        await house.listen(host.id)
        await house.with_network()
        wanted = NetworkWanted(network=house.network_id)
        await talk.say(house.means.bus, subjects.build_network(CLUSTER), a_build(wanted, host="unheard", guest="g1"))
        await house.build(host.id, guest="g2")
        await until(lambda: house.heard)
        assert [port.device for port in store.scan(Port)] == ["g2"] == [build.guest for build in house.heard]


async def test_many_builds_at_once_share_no_address(house: House) -> None:
    async with house.worker() as store, house.host() as host:
        await house.listen(host.id)
        await house.with_network("10.0.0.0/22")
        await asyncio.gather(*(house.build(host.id, guest=f"g{n}") for n in range(300)))
        await until(lambda: len(house.heard) == 300)
        assert len({build.ports[0].addresses for build in house.heard}) == 300
        assert len(store.scan(Port)) == 300


async def test_the_registrar_hears_why_a_build_is_given_up(house: House) -> None:
    async with house.worker() as store, house.host() as host:
        await house.listen(host.id)
        house.network_id = an_id(7)
        await house.build(host.id, deed=3)
        await until(lambda: house.given_up)
        (notice,) = house.given_up
        assert (notice.guest, notice.deed, notice.fault.code) == ("g1", 3, "NotFound")
        assert not store.scan(Port) and not house.heard


async def test_a_lease_ends_with_its_guest(house: House) -> None:
    async with house.worker() as store, house.host() as host:
        await house.listen(host.id)
        await house.with_network()
        port = await running(house, host, store)
        await host.commit([put("g1", shown(host.id, "g1", 1, GuestState.STOPPED))], "stop")
        await until(lambda: not store.scan(Port)[0].active)
        await host.commit([drop("guest", "g1"), put("g1", refused("g1", 1))], "urn:delete")
        await until(lambda: not store.scan(Port))
        (gone,) = [e for e in store.told_about(port.id).entries if e.value is None]
        assert gone.cause == "urn:delete"
        await house.build(host.id)
        await house.build(host.id, guest="g2")
        await until(lambda: len(house.heard) == 2)
        assert [port.device for port in store.scan(Port)] == ["g2"]


async def test_an_evacuated_guest_that_no_host_takes_keeps_its_lease_until_it_is_deleted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "NOWHERE_PERIOD_S", 0.01)
    async with house.worker() as store, house.host("dead") as dead, house.host("other") as other:
        await house.listen(dead.id)
        await house.with_network()
        port = await running(house, dead, store)
        await house.build(other.id, guest="g1", deed=2, action="evacuate")
        await until(lambda: store.scan(Port)[0].deed == 2)
        await other.commit([put("g1", refused("g1", 2))], "urn:g1")
        await until(lambda: _sights(store, other.id))
        assert [one.id for one in store.scan(Port)] == [port.id]
        house.ended = {"g1"}
        await until(lambda: not store.scan(Port))


def _sights(store: Store, host: str) -> bool:
    """Whether the worker has seen that a host refuses a guest."""
    return any(decode(value, Sight).ended for key, value in store.scan_private("sight") if key.startswith(host))


async def test_a_lease_outlives_restarts_and_its_end_is_seen_after_them(house: House) -> None:
    async with house.host() as host:
        async with house.worker() as store:
            await house.listen(host.id)
            await house.with_network()
            port = await running(house, host, store)
            await running(house, host, store, "g2")
        await host.commit([put("g1", refused("g1", 1)), drop("guest", "g1")], "delete")
        async with house.worker() as store:
            await until(lambda: len(store.scan(Port)) == 1)
            assert store.scan(Port)[0].device == "g2"
            house.heard.clear()
            await house.build(host.id)
            await house.build(host.id, guest="g3")
            await until(lambda: house.heard)
            assert [build.guest for build in house.heard] == ["g3"]
            assert house.heard[0].ports[0].mac != port.mac


async def test_other_clusters_hosts_end_nothing(house: House) -> None:
    async with house.worker() as store, house.host() as host, house.host("far", "c2") as far:
        await house.listen(host.id)
        await house.with_network()
        await running(house, host, store)
        await far.commit([put("g1", refused("g1", 99))], "lie")
        await host.commit([put("other", refused("other", 1))], "news")
        await until(lambda: store.scan_private("sight", f"{host.id}/other"))
        assert len(store.scan(Port)) == 1


async def test_a_record_that_cannot_be_read_stops_nobody(house: House) -> None:
    async with house.worker() as store, house.host() as host:
        await house.listen(host.id)
        await house.with_network()
        await running(house, host, store)
        await host.commit([Change("guest", "g1", b"\xc1"), Change("refusal", "g1", b"no")], "broken")
        await host.commit([put("g1", refused("g1", 1))], "delete")
        await until(lambda: not store.scan(Port))


async def test_default_groups_are_told_like_everything_else(house: House) -> None:
    async with house.worker() as store:
        key = await house.with_network()
        await house.ask(CreatePort(port=Port(id="", project="p", network=key, mac="")))
        assert [group.name for group in store.scan(SecurityGroup)] == ["default"]
