"""What servers let in, say and hear, by tickets that are made of the table: on a real server."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import tickets
from freehold.bus.allowed import HEARS, SPEAKS, patterns
from freehold.bus.interface import CARRIED_BYTES_MAX
from freehold.bus.nats import NatsBus, NatsPlace
from freehold.bus.passports import Identity
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import SystemClock
from freehold.runtime.keys import SigningKey
from freehold.vocabulary.errors import NoAnswer
from freehold.vocabulary.shards import SHARDS_MAX, Shards
from freehold.workers.broker.lifecycle import Tls
from tests.broker import Authority, Server, Someone, server
from tests.certificates import made
from tests.nats_server import free_port, nats_server
from tests.owners import until

SETTLED = "freehold.hello.host"
"""Hosts hear it, and their readers say it: what was said before has come when this comes."""


@pytest.fixture
async def served() -> AsyncIterator[Server]:
    async with server(Authority()) as made:
        yield made


async def heard_by(bus: NatsBus, *patterns: str) -> list[str]:
    heard: list[str] = []

    async def listener(subject: str, _body: bytes) -> None:
        heard.append(subject)

    for pattern in patterns:
        await bus.subscribe(pattern, listener)
    return heard


async def settled(speaker: NatsBus, listener: list[str], by: str = SETTLED) -> None:
    """All that was said before has come to who may hear it, when `by` has."""
    count = listener.count(by)
    await speaker.publish(by, b"")
    await until(lambda: listener.count(by) > count)


@pytest.mark.parametrize("role", sorted(SPEAKS))
async def test_a_role_may_say_and_hear_all_that_it_has(served: Server, role: str) -> None:
    someone = served.authority.machine("m", role, stores=("s1", "s2"))
    bus = await served.let_in(someone)
    await heard_by(bus, *patterns(HEARS, someone.passport))
    for pattern in patterns(SPEAKS, someone.passport):
        await bus.publish(pattern.replace("*", "x").replace(">", "x"), b"")
    heard = await heard_by(bus, "freehold.barred")
    control = await served.let_in(served.authority.machine("d", "directory"))
    await settled(control, heard, "freehold.barred")
    assert bus.denied == 0


async def test_a_host_says_and_hears_nothing_that_is_anothers(served: Server) -> None:
    reader = await served.let_in(served.authority.machine("r", "api", "scheduler"))
    bad = await served.let_in(served.authority.machine("bad", "host"))
    heard = await heard_by(reader, "freehold.event.>", "freehold.heartbeat.>", "freehold.build.scheduler")
    others = ("freehold.event.default.host.good", "freehold.heartbeat.c2.host.bad", "freehold.event.default.image.bad")
    for subject in (*others, "freehold.build.scheduler", "freehold.event.default.host.bad"):
        await bad.publish(subject, b"")
    beat = "freehold.heartbeat.default.host.bad"
    await settled(bad, heard, beat)
    assert sorted(heard) == ["freehold.event.default.host.bad", beat]

    spied = await heard_by(bad, ">", "freehold.>", "freehold.ask.host.good", "_INBOX.>", "$SYS.>", SETTLED)
    scheduler = await served.let_in(served.authority.machine("s", "scheduler"))
    with pytest.raises(NoAnswer, match="nobody answers"):
        await scheduler.ask("freehold.ask.host.good", b"", 5)
    await settled(scheduler, spied)
    assert set(spied) == {SETTLED}
    await until(lambda: bad.denied >= 9)


async def test_an_answer_is_given_to_who_asked_once(served: Server) -> None:
    host = await served.let_in(served.authority.machine("h", "host"))
    scheduler = await served.let_in(served.authority.machine("s", "scheduler"))

    async def answer(_subject: str, body: bytes) -> bytes:
        return b"yes: " + body

    await host.answer("freehold.ask.host.h", answer, "host")
    assert await scheduler.ask("freehold.ask.host.h", b"1", 5) == b"yes: 1"
    heard = await heard_by(scheduler, "freehold.heartbeat.*.host.>")
    await host.publish(f"{tickets.inbox(served.authority.machine('s', 'scheduler').passport)}.made.up", b"")
    await settled(host, heard, "freehold.heartbeat.default.host.h")
    await until(lambda: host.denied)
    assert host.denied == 1 and scheduler.denied == 0


def strangers(authority: Authority) -> dict[str, Someone]:
    """Who isn't let in."""
    good, other = authority.machine("good", "host"), Authority()
    own = authority.machine("own", "host")
    return {
        "has no ticket": Someone(good.passport, good.secret, Identity(good.identity.passport, good.identity.key)),
        "shows another's ticket": Someone(
            good.passport, own.secret, Identity(b"", SigningKey(own.secret), good.identity.ticket)
        ),
        "vouches for himself": other.machine("good", "host"),
        "has a ticket that is over": authority.machine("late", "host", expires_ms=good.passport.issued_ms - 2000),
        "has changed his ticket": Someone(
            good.passport, good.secret, replace_ticket(good, authority.machine("x", "registrar").identity.ticket)
        ),
    }


def replace_ticket(good: Someone, other: str) -> Identity:
    """The header and signature of the one, and what the other says."""
    first, _, last = good.identity.ticket.split(".")
    return Identity(b"", good.identity.key, ".".join((first, other.split(".")[1], last)))


@pytest.mark.parametrize("who", sorted(strangers(Authority())))
async def test_a_stranger_isnt_let_in(served: Server, who: str, caplog: pytest.LogCaptureFixture) -> None:
    bus = served.bus(strangers(served.authority)[who])
    await until(lambda: bus.turned_away > 0)
    assert not bus.is_connected and bus.connections == 0


async def test_who_is_barred_is_cut_off_and_nobody_else(served: Server) -> None:
    good, bad = served.authority.machine("good", "host"), served.authority.machine("bad", "host")
    stays, goes = await served.let_in(good), await served.let_in(bad)
    served.authority.bar(bad)
    await served.tell()
    await until(lambda: not goes.is_connected, 5)
    await until(lambda: goes.turned_away > 0)
    again = served.bus(bad)
    await until(lambda: again.turned_away > 0)
    assert stays.is_connected and stays.connections == 1
    served.authority.refused.clear()
    await served.tell()
    await again.connected()


async def test_a_new_ticket_is_shown_from_the_next_connection_on(served: Server) -> None:
    first, second = served.authority.machine("m", "host"), served.authority.machine("m", "host")
    bus = await served.let_in(first)
    bus.identify(second.identity)
    served.authority.bar(first)
    await served.tell()
    await until(lambda: bus.is_connected and bus.connections == 2)


async def test_the_tickets_of_the_largest_machines_are_taken() -> None:
    """All roles of a large cloud on one machine, and a thousand simulated hosts."""
    authority = Authority(shards=Shards(SHARDS_MAX))
    everything = tuple(SPEAKS)
    many = tuple(f"{number:08}-0000-4000-8000-000000000000" for number in range(1000))
    async with server(authority) as served:
        for someone in (
            authority.machine("all", *everything, stores=many[: tickets.STORES_NAMED_MAX], name="n" * 255),
            authority.machine("many", *everything, stores=many),
            authority.machine("far", *everything, stores=many, cluster="c1"),
        ):
            assert len(someone.identity.ticket) < tickets.TICKET_BYTES_MAX
            bus = await served.let_in(someone)
            await heard_by(bus, f"freehold.ask.host.{someone.passport.stores[3]}")
            assert bus.denied == 0


def test_a_roll_is_the_same_for_the_same_keys_and_names_the_authority() -> None:
    authority, refused = SigningKey(bytes(32)), {bytes(32): 1000}
    first, second = (tickets.roll(authority, refused, time) for time in (1, 2))
    assert replace(second, time=1) == first
    assert first.accounts[0][0] == tickets.account(authority.public)
    assert tickets.roll(authority, {}, 1).charter == first.charter and tickets.roll(authority, {}, 1) != first


def test_a_route_password_is_a_clusters_and_the_authoritys() -> None:
    made = {
        tickets.route_password(SigningKey(bytes([key]) * 32), cluster).reveal() for key in (1, 2) for cluster in "ab"
    }
    assert len(made) == 4
    assert tickets.route_password(SigningKey(bytes(32)), "a") == tickets.route_password(SigningKey(bytes(32)), "a")


# --- clusters with servers of their own ------------------------------------------------------------------------------


@pytest.fixture
async def linked() -> AsyncIterator[tuple[Server, Server]]:
    """The centre's server, and one of cluster c1 that is linked to it."""
    authority, port = Authority(shards=Shards(2)), free_port()
    async with server(authority, link_listen=f"127.0.0.1:{port}") as centre:
        broker = authority.machine("b1", "broker", cluster="c1")
        async with server(authority, broker, cluster="c1", hub=(f"nats://127.0.0.1:{port}",)) as own:
            yield centre, own


async def test_what_a_clusters_machines_say_and_are_asked_passes_the_link(linked: tuple[Server, Server]) -> None:
    centre, own = linked
    machines = centre.authority
    control = await centre.let_in(machines.machine("r", "registrar", "scheduler", "api", "directory"))
    host = await own.let_in(machines.machine("h", "host", cluster="c1"))
    network = await own.let_in(machines.machine("n", "network", cluster="c1"))

    async def answer(subject: str, body: bytes) -> bytes:
        return subject.encode() + body

    for shard in range(2):
        await control.answer(f"freehold.ask.ledger.{shard}.host.>", answer, "registrar")
        await control.answer(f"freehold.ask.ledger.{shard}.network", answer, "registrar")
    await control.answer("freehold.ask.passport", answer, "directory")
    await host.answer("freehold.ask.host.c1.h", answer, "host")
    await host.answer("freehold.owner.c1.host.h", answer, "owner")
    await network.answer("freehold.ask.network.c1.one", answer, "network")
    heard = await heard_by(control, "freehold.event.>", "freehold.heartbeat.*.host.>")
    told = await heard_by(host, "freehold.barred", "freehold.build.host.h")
    passed = await heard_by(network, "freehold.build.network.c1.one")
    for asker, subject in (
        (host, "freehold.ask.ledger.0.host.c1.h"),
        (host, "freehold.ask.ledger.1.host.c1.h"),
        (network, "freehold.ask.ledger.1.network"),
        (host, "freehold.ask.passport"),
        (control, "freehold.ask.host.c1.h"),
        (control, "freehold.owner.c1.host.h"),
        (control, "freehold.ask.network.c1.one"),
    ):
        assert await patient(asker, subject) == subject.encode() + b"q"
    await host.publish("freehold.event.c1.host.h", b"")
    await host.publish("freehold.heartbeat.c1.host.h", b"")
    await network.publish("freehold.event.c1.network.n", b"")
    await control.publish("freehold.barred", b"")
    await control.publish("freehold.build.network.c1.one", b"")
    await network.publish("freehold.build.host.h", b"")
    await until(lambda: len(heard) >= 3 and len(told) == 2 and passed)
    assert [bus.denied for bus in (control, host, network)] == [0, 0, 0]


async def patient(asker: NatsBus, subject: str) -> bytes:
    """The answer, once the link stands."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await asker.ask(subject, b"q", 2)
            except NoAnswer:
                await asyncio.sleep(0.05)


@pytest.fixture
async def fallen(linked: tuple[Server, Server], tmp_path: Path) -> AsyncIterator[NatsBus]:
    """Somebody in a server with the credentials of c1's own, which lets everybody say and hear everything."""
    _, own = linked
    await own.driver.close()
    credentials = tmp_path / "credentials"
    credentials.write_text(own.authority.keys(own.someone).credentials.reveal())
    remote = f'urls: ["{own.place.hub[0]}"], account: X, credentials: "{credentials}"'
    config = f"""
        accounts {{ X: {{ users: [ {{ user: u, password: p }} ] }} }}
        no_auth_user: u
        leafnodes {{ remotes: [ {{ {remote} }} ] }}
        """
    async with nats_server(config) as plain:
        bus = NatsBus(NatsPlace((plain.url,)), SystemClock(), SystemChance(), CARRIED_BYTES_MAX)
        bus.open()
        await bus.connected()
        yield bus
        await bus.close()


async def test_a_fallen_server_speaks_for_its_own_cluster_alone(linked: tuple[Server, Server], fallen: NatsBus) -> None:
    centre, _ = linked
    control = await centre.let_in(centre.authority.machine("r", "registrar", "scheduler", "api", "directory"))
    heard = await heard_by(control, "freehold.event.>", "freehold.build.scheduler", "freehold.barred")
    await until_linked(control, await heard_by(fallen, SETTLED))
    for subject in ("freehold.event.c2.host.x", "freehold.event.c1.registrar.x", "freehold.barred", "freehold.roll"):
        await fallen.publish(subject, b"")
    await fallen.publish("freehold.build.scheduler", b"")
    await fallen.publish("freehold.event.c1.host.x", b"")
    last = "freehold.event.c1.host.last"
    await settled(fallen, heard, last)
    assert set(heard) == {"freehold.event.c1.host.x", last}


async def test_a_fallen_server_hears_and_answers_for_its_own_cluster_alone(
    linked: tuple[Server, Server], fallen: NatsBus
) -> None:
    centre, _ = linked
    control = await centre.let_in(centre.authority.machine("r", "registrar", "scheduler", "api", "directory"))
    stolen: list[str] = []

    async def steal(subject: str, _body: bytes) -> bytes:
        stolen.append(subject)
        return b"mine"

    spied = await heard_by(fallen, ">", "freehold.>", "freehold.event.>", "_INBOX.default.>", SETTLED)
    asked = (
        "freehold.ask.registrar.0",
        "freehold.ask.scheduler",
        "freehold.ask.host.c2.h",
        "freehold.ask.host.h",
        "freehold.ask.network.c2.one",
    )
    for subject in (*asked, "freehold.ask.host.c1.h"):
        await fallen.answer(subject, steal, "g")
    await until_linked(control, spied)
    assert await patient(control, "freehold.ask.host.c1.h") == b"mine"
    for subject in asked:
        with pytest.raises(NoAnswer, match="nobody answers"):
            await control.ask(subject, b"", 5)
    await settled(control, spied)  # it hears its own answer as well
    spied.clear()
    await control.publish("freehold.event.default.registrar.r", b"")
    await settled(control, spied)
    assert set(spied) == {SETTLED} and set(stolen) == {"freehold.ask.host.c1.h"}


async def until_linked(speaker: NatsBus, heard: list[str], word: str = SETTLED) -> None:
    """Says `word` until it is heard: servers tell each other after a while only who listens at each."""
    async with asyncio.timeout(10):
        while word not in heard:
            await speaker.publish(word, b"")
            await asyncio.sleep(0.05)


async def test_a_server_that_is_barred_is_cut_off_with_all_its_cluster(linked: tuple[Server, Server]) -> None:
    centre, own = linked
    control = await centre.let_in(centre.authority.machine("r", "registrar", "api"))
    host = await own.let_in(centre.authority.machine("h", "host", cluster="c1", stores=("before", "after")))
    heard, own_word = await heard_by(control, "freehold.event.>"), "freehold.event.default.registrar.r"
    await until_linked(control, await heard_by(host, SETTLED))
    await until_linked(host, heard, "freehold.event.c1.host.before")
    assert own.someone is not None
    centre.authority.bar(own.someone)
    await centre.tell()
    await host.publish("freehold.event.c1.host.after", b"")
    await settled(control, heard, own_word)
    assert set(heard) == {"freehold.event.c1.host.before", own_word}


async def test_three_servers_of_the_centre_and_a_linked_one_are_one_bus_over_tls(tmp_path: Path) -> None:
    ca, certificate, key = (str(path) for path in made(tmp_path))
    tls, authority = Tls(certificate, key, ca), Authority()
    context = ssl.create_default_context(cafile=ca)
    routes = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    links = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    async with AsyncExitStack() as stack:

        async def serve(someone: Someone | None = None, **place: Any) -> Server:
            return await stack.enter_async_context(server(authority, someone, tls=tls, tls_context=context, **place))

        centre = [
            await serve(route_listen=here, routes=tuple(one for one in routes if one != here), link_listen=link)
            for here, link in zip(routes, links, strict=True)
        ]
        broker = authority.machine("b1", "broker", cluster="c1")
        own = await serve(broker, cluster="c1", hub=tuple(f"tls://{link}" for link in links), ca=ca)
        reader = await centre[0].let_in(authority.machine("r", "api", "directory"))
        speakers = [
            await centre[2].let_in(authority.machine("h2", "host")),
            await own.let_in(authority.machine("h3", "host", cluster="c1")),
        ]
        for speaker in speakers:
            await until_linked(reader, await heard_by(speaker, SETTLED))
        heard = await heard_by(reader, "freehold.event.>")
        for speaker, subject in zip(speakers, ("default.host.h2", "c1.host.h3"), strict=True):
            await until_linked(speaker, heard, f"freehold.event.{subject}")
        await centre[0].driver.close()
        await until(lambda: not reader.is_connected)
        assert all(speaker.denied == 0 for speaker in speakers)


@pytest.mark.parametrize("knows", [False, True], ids=["guesses", "knows"])
async def test_only_who_knows_the_route_password_is_a_server_among_them(knows: bool) -> None:
    """What comes from a server of the cluster is held to no ticket: one that knows it says what it likes."""
    authority, here, there = Authority(), f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    password = authority.keys().route.reveal() if knows else "guessed"
    config = f"""
        accounts {{ {tickets.account(authority.key.public)}: {{ users: [ {{ user: u, password: p }} ] }} }}
        no_auth_user: u
        cluster {{ name: default, listen: "{there}", routes: ["nats://freehold:{password}@{here}"] }}
        """
    async with server(authority, route_listen=here) as good, nats_server(config) as bad:
        reader = await good.let_in(authority.machine("r", "api", "directory"))
        heard = await heard_by(reader, "freehold.event.>")
        bus = NatsBus(NatsPlace((bad.url,)), SystemClock(), SystemChance(), CARRIED_BYTES_MAX)
        bus.open()
        await bus.connected()

        def said_or_turned_away() -> bool:
            return bool(heard) or any(
                "uthorization" in words or "uthentication" in words for words in good.driver.words
            )

        async with asyncio.timeout(20):
            while not said_or_turned_away():
                await bus.publish("freehold.event.default.host.x", b"")
                await asyncio.sleep(0.05)
        await bus.close()
        assert bool(heard) is knows
