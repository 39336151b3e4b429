"""Published images whose server lies, moves them about or breaks off; and what may not be written."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from aiohttp import web

from freehold.config import read
from freehold.drivers.imagestore import over_http
from freehold.drivers.imagestore.interface import ImageStore
from freehold.drivers.imagestore.pick import image_store
from freehold.runtime.tasks import ThreadOffload
from freehold.vocabulary.errors import BadRequest, Broken, Forbidden, FreeholdError, NotFound, Unavailable
from freehold.vocabulary.units import MIB
from tests.drivers.imagestore.crafted import qcow2
from tests.drivers.imagestore.lines import broken_line

IMAGE = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-9999-000000000000"
LONG = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(6 * MIB // 32)) + b"the end"


class Web:
    """A web server with files in `/files`, and what leads elsewhere: `/to?where=…`, and `/hops/N` in so many steps.

    `/moody` fails so many times, and can't give a part; or, asked to be `wrong`, gives another.
    """

    def __init__(self, folder: Path, offload: ThreadOffload) -> None:
        self.folder, self.offload, self.port = folder, offload, 0
        self.list = folder / "list.toml"
        self.fails = 0

    def store(self, port: int = 0) -> ImageStore:
        place = f"http://127.0.0.1:{port or self.port}/files/?list={self.list}"
        return image_store(read(None, state=self.folder, image_store=place), "images", "", self.offload)

    def publish(self, pinned: bytes, path: str = "image.raw", *, real: bytes | None = None) -> None:
        """Pins bytes, and serves those or others."""
        (self.folder / "image.raw").write_bytes(pinned if real is None else real)
        sha256 = hashlib.sha256(pinned).hexdigest()
        self.list.write_text(f'[{IMAGE}]\npath = "{path}"\nsha256 = "{sha256}"\nsize_bytes = {len(pinned)}\n')

    async def lead(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(request.query["where"])

    async def hop(self, request: web.Request) -> web.StreamResponse:
        left = int(request.match_info["left"]) - 1
        raise web.HTTPFound(f"/hops/{left}" if left else "/files/image.raw")

    async def moody(self, request: web.Request) -> web.StreamResponse:
        if self.fails:
            self.fails -= 1
            return web.Response(status=503, body=LONG)
        content = (self.folder / "image.raw").read_bytes()
        if "Range" in request.headers and "wrong" in request.query:
            return web.Response(status=206, body=content[1:], headers={"Content-Range": "bytes 1-/*"})
        return web.Response(body=content)


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Web]:
    monkeypatch.setattr(over_http, "PAUSE_S", 0.01)
    offload = ThreadOffload(threads=2)
    made, app = Web(tmp_path, offload), web.Application()
    app.router.add_static("/files", tmp_path)
    app.router.add_get("/to", made.lead)
    app.router.add_get("/moody", made.moody)
    app.router.add_get("/hops/{left}", made.hop)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()
    offload.close()


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(MIB)


async def untouched() -> AsyncIterator[bytes]:
    raise AssertionError("nobody asks for the bytes")
    yield b""


async def read_until_it_breaks(images: ImageStore, offset: int = 0) -> tuple[bytes, FreeholdError | None]:
    """What was given out, and what broke it off."""
    found = b""
    try:
        async with aclosing(images.read(IMAGE, offset)) as arriving:
            async for chunk in arriving:
                found += chunk
    except FreeholdError as error:
        return found, error
    return found, None


@pytest.mark.parametrize("offset", [0, 5 * MIB, len(LONG) - 1])
@pytest.mark.parametrize(
    "real",
    [b"x" + LONG[1:], LONG[:-1] + b"x", LONG[:-1], bytes(len(LONG)), b""],
    ids=["first byte", "last byte", "shorter", "zeros", "nothing"],
)
async def test_what_is_not_pinned_is_never_read_to_its_end(server: Web, real: bytes, offset: int) -> None:
    server.publish(LONG, real=real)
    found, error = await read_until_it_breaks(server.store(), offset)
    assert isinstance(error, Broken)
    assert len(found) < len(LONG) - offset, "who counts bytes mustn't take it for the whole"


async def test_what_follows_the_pinned_bytes_is_not_read(server: Web) -> None:
    server.publish(LONG, real=LONG + bytes(4 * MIB))
    assert await read_until_it_breaks(server.store()) == (LONG, None)


async def test_where_the_connection_breaks_it_is_read_on_and_the_sum_is_of_all(server: Web) -> None:
    server.publish(LONG)
    async with broken_line(server.port, breaks=4, after_bytes=MIB + 123_456) as (line, port):
        assert await read_until_it_breaks(server.store(port), 5) == (LONG[5:], None)
        assert line.breaks == 0


@pytest.mark.parametrize(("fails", "error"), [(3, None), (4, Unavailable)])
async def test_a_server_that_fails_is_asked_again(server: Web, fails: int, error: type[FreeholdError] | None) -> None:
    server.publish(LONG, "/moody")
    server.fails = fails
    found, broken = await read_until_it_breaks(server.store())
    assert (found, broken) == (LONG, None) if error is None else isinstance(broken, error) and not found


@pytest.mark.parametrize(("path", "said"), [("/moody", "it answered 200"), ("/moody?wrong", "gave other bytes")])
async def test_a_server_that_gives_no_parts_can_not_go_on(server: Web, path: str, said: str) -> None:
    server.publish(LONG, path)
    async with broken_line(server.port, breaks=1, after_bytes=3 * MIB) as (_, port):
        found, broken = await read_until_it_breaks(server.store(port))
    assert isinstance(broken, Unavailable) and said in broken.message
    assert found == LONG[: len(found)]


async def test_what_is_replaced_while_it_is_read_is_not_mixed(server: Web) -> None:
    server.publish(LONG)
    async with broken_line(server.port, breaks=1, after_bytes=3 * MIB) as (line, port):
        line.may.clear()
        found = b""
        with pytest.raises(Broken, match="isn't what is pinned"):
            async for chunk in server.store(port).read(IMAGE):
                found += chunk
                if not line.may.is_set():
                    (server.folder / "image.raw").unlink()
                    (server.folder / "image.raw").write_bytes(bytes(len(LONG)))
                    line.may.set()
    assert len(found) < len(LONG)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/to?where=/files/image.raw", None),
        ("/hops/5", None),
        ("/hops/6", Unavailable),
        ("/to?where=ftp://127.0.0.1/image.raw", Unavailable),
        ("/to?where=/files/none", NotFound),
    ],
)
async def test_redirects_are_followed_and_not_for_ever(
    server: Web, path: str, error: type[FreeholdError] | None
) -> None:
    server.publish(LONG, path)
    found, broken = await read_until_it_breaks(server.store())
    assert (found, broken) == (LONG, None) if error is None else isinstance(broken, error)


async def test_a_path_can_be_a_url_of_another_server(server: Web) -> None:
    server.publish(LONG, f"http://localhost:{server.port}/files/image.raw")
    assert await read_until_it_breaks(server.store()) == (LONG, None)


async def test_only_what_is_published_can_be_written(server: Web) -> None:
    server.publish(LONG)
    images = server.store()
    written = await images.write(IMAGE, chunks(LONG), len(LONG))
    assert (written.size_bytes, written.sha256) == (len(LONG), hashlib.sha256(LONG).hexdigest())
    for content in (LONG[:-1], LONG[:-1] + b"x", LONG + b"x", b""):
        with pytest.raises(Forbidden, match="those that came are others"):
            await images.write(IMAGE, chunks(content), 2 * len(LONG))
    with pytest.raises(Forbidden, match="those that came are others"):
        await images.write(IMAGE, endless(), 1 << 60)
    with pytest.raises(Forbidden, match=f"{OTHER} isn't in their list"):
        await images.write(OTHER, untouched(), 10)
    await images.delete(IMAGE)
    assert await read_until_it_breaks(images) == (LONG, None)


async def test_bytes_are_looked_into_only_if_they_are_those_that_are_pinned(server: Web) -> None:
    server.publish(qcow2())
    assert (await server.store().inspect(IMAGE, "qcow2")).virtual_bytes == 8 * MIB
    server.publish(qcow2() + LONG, real=qcow2() + bytes(len(LONG)))
    with pytest.raises(Broken, match="isn't what is pinned"):
        await server.store().inspect(IMAGE, "qcow2")


async def test_the_list_may_change_at_any_time(server: Web) -> None:
    server.list.write_text("")
    images = server.store()
    assert await images.images() == frozenset()
    server.publish(LONG)
    assert await images.images() == {IMAGE} and await images.size_bytes(IMAGE) == len(LONG)
    server.list.write_text("half of")
    with pytest.raises(Unavailable, match=r"the list of images .* isn't one"):
        await images.images()


GOOD = f'[{IMAGE}]\npath = "x"\nsha256 = "{"a" * 64}"\nsize_bytes = 1\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "can't be read: No such file"),
        ("path = 1", "isn't one"),
        (GOOD.replace(IMAGE, "debian"), "'debian' where an id is"),
        (GOOD.replace("a" * 64, "a" * 40), "isn't right about"),
        (GOOD.replace("= 1", "= -1"), "isn't right about"),
        (GOOD.replace('"x"', '"file:///etc/shadow"'), "isn't right about"),
        (GOOD + "md5 = 1\n", "isn't one"),
    ],
)
def test_a_list_that_is_wrong_is_said_at_the_start(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "list").write_text(text)
    settings = read(None, state=tmp_path, image_store=f"https://images.example/?list={tmp_path}/list")
    with pytest.raises(BadRequest) as caught:
        image_store(settings, "images", "", lambda work: work())  # type: ignore[arg-type, return-value]
    assert said in caught.value.message


@pytest.fixture
def offload() -> Iterator[ThreadOffload]:
    made = ThreadOffload()
    yield made
    made.close()


def test_certificates_that_are_none_are_said(tmp_path: Path, offload: ThreadOffload) -> None:
    (tmp_path / "list").touch()
    place = f"https://images.example/?list={tmp_path}/list&ca={tmp_path}/list"
    with pytest.raises(BadRequest, match="the certificates in"):
        image_store(read(None, state=tmp_path, image_store=place), "images", "", offload)
