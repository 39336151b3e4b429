"""Real servers that are away, hang, or refuse: said in a sentence, in bounded time, without a password."""

import asyncio
from collections.abc import Iterator

import pytest

from freehold.drivers.backup import bucket, redis_server, sql
from freehold.drivers.backup.leased import LeasedBackups
from freehold.drivers.backup.pick import backups_at
from freehold.drivers.places.secrets import read_secrets
from freehold.runtime.clock import SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.errors import Unavailable
from freehold.vocabulary.place import place_of
from freehold.vocabulary.secret import Secret
from tests.servers import PASSWORD, SERVERS, Server

STORE = "11111111-2222-4333-8444-555555555555"
HANG_S_MAX = 2.0


@pytest.fixture(scope="module", params=sorted(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    started = SERVERS[request.param]()
    yield started
    started.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bucket, redis_server, sql):
        monkeypatch.setattr(module, "REQUEST_S_MAX", HANG_S_MAX)


def backups(server: Server, url: str = "", password: str = "") -> LeasedBackups:
    place = place_of(url or server.url)
    assert place is not None
    secrets = read_secrets(place, server.secrets)
    secrets |= {name: Secret(password) for name in secrets if password}
    made = backups_at(place, secrets, SystemClock(), offload_inline, "somebody")
    assert isinstance(made, LeasedBackups)
    return made


async def test_a_server_that_hangs_is_given_up_and_used_again_when_it_goes_on(server: Server) -> None:
    place = backups(server)
    await place.hold(STORE)
    assert await place.numbers(STORE) == []
    server.freeze()
    try:
        for _ in range(2):
            began_s = asyncio.get_running_loop().time()
            with pytest.raises(Unavailable, match="can't be used") as caught:
                await place.numbers(STORE)
            assert asyncio.get_running_loop().time() - began_s < 6 * HANG_S_MAX
            assert PASSWORD not in caught.value.message
    finally:
        server.thaw()
    await until_it_answers(place)
    await place.write(STORE, 1, b"x")
    await place.close()


async def test_a_server_that_was_killed_is_used_again_when_it_is_back(server: Server) -> None:
    place = backups(server)
    await place.hold(STORE)
    assert isinstance(await place.numbers(STORE), list)
    server.kill()
    with pytest.raises(Unavailable, match="can't be used") as caught:
        await place.numbers(STORE)
    assert PASSWORD not in caught.value.message and "\n" not in caught.value.message
    await asyncio.to_thread(server.start)
    await until_it_answers(place)
    await place.close()


async def until_it_answers(place: LeasedBackups) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await place.numbers(STORE)
                return
            except Unavailable:
                await asyncio.sleep(0)


async def test_a_wrong_password_is_said_and_not_repeated(server: Server) -> None:
    if server.url.startswith("s3"):
        pytest.skip("moto takes every key")
    place = backups(server, password="hunter2-hunter2")
    with pytest.raises(Unavailable) as caught:
        await place.numbers(STORE)
    assert "hunter2" not in caught.value.message and PASSWORD not in caught.value.message
    await place.close()
