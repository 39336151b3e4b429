"""Ordering hosts, by the API and at their own machine, as somebody types it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from freehold.cli import hosts
from freehold.cli.credentials import Admin, write_admin
from freehold.runtime.local_socket import LocalSocket
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import BadRequest, Conflict, NotFound
from freehold.vocabulary.host import Drain, Undrain
from freehold.vocabulary.local import GuestsHere, HostHere, HostStands, LocalAnswer, LocalQuestion
from freehold.vocabulary.secret import Secret

TOLD = {"id": "1", "name": "h 7", "guests": 2}
SHOWN = {
    "cluster": "c",
    "architecture": "x86_64",
    "hypervisor_types": ["qemu", "kvm"],
    "traits": ["CUSTOM_GPU", "HW_CPU_X86_AVX2"],
    "aggregates": [],
}


class Cloud:
    """An API with one host, ``h 7``. `calls`: method, path, query and body of what came."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, str]] = []
        self.busy = False

    async def answer(self, request: web.Request) -> web.Response:
        self.calls.append((request.method, request.path, request.query_string, await request.text()))
        if request.path.endswith("/retired-hosts"):
            gone = {"id": "2", "name": "old", "time": "2026-01-01T00:00:00.000Z", "user": "u", "dead": True}
            return web.json_response({"hosts": [gone]})
        if not request.path.endswith("/hosts/h 7"):
            return web.json_response({"error": {"code": 404, "message": "There is no host h8."}}, status=404)
        if request.method == "GET":
            return web.json_response({"host": TOLD | SHOWN})
        if request.method == "PUT":
            wanted = (await request.json())["host"]
            stands = {"enabled": wanted["enabled"], "disabled_reason": wanted.get("reason", "")}
            return web.json_response({"host": TOLD | stands})
        if self.busy:
            return web.json_response({"error": {"code": 409, "message": "2 guests are there."}}, status=409)
        return web.json_response({"host": TOLD | {"machine": "barred"}})


@contextlib.asynccontextmanager
async def running(cloud: Cloud, state: Path) -> AsyncIterator[None]:
    async def sign_in(_: web.Request) -> web.Response:
        return web.json_response({"token": {}}, status=201, headers={"X-Subject-Token": "t"})

    app = web.Application()
    app.router.add_post("/identity/v3/auth/tokens", sign_in)
    app.router.add_route("*", "/{path:.*}", cloud.answer)
    server = TestServer(app)
    await server.start_server()
    write_admin(state, Admin(url=str(server.make_url("")).rstrip("/"), password=Secret("p")))
    try:
        yield
    finally:
        await server.close()


async def test_a_host_is_drained_taken_up_and_retired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = Cloud()
    async with running(cloud, tmp_path):
        await hosts._ordered(tmp_path, "h 7", {"enabled": False, "reason": "fans"})
        await hosts._ordered(tmp_path, "h 7", {"enabled": True})
        await hosts._retire(tmp_path, "h 7", dead=True)
        await hosts._show_retired(tmp_path)
    told = capsys.readouterr().out
    assert "h 7 is drained (fans): it takes no new guests; 2 guests there: untouched\n" in told
    assert "h 7 takes guests again; it has 2 guests\n" in told
    assert "h 7 is retired, for good; its machine is shut out\n" in told
    assert "old" in told and "as dead" in told
    assert [(call[0], call[2]) for call in cloud.calls] == [
        ("PUT", ""),
        ("PUT", ""),
        ("DELETE", "dead=true"),
        ("GET", ""),
    ]


async def test_what_a_host_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(Cloud(), tmp_path):
        await hosts._show(tmp_path, "h 7")
    assert capsys.readouterr().out == (
        "h 7 (1), of cluster c, with 2 guests\n"
        "  architecture: x86_64\n"
        "  hypervisor types: qemu kvm\n"
        "  traits: CUSTOM_GPU HW_CPU_X86_AVX2\n"
        "  aggregates: -\n"
    )


async def test_a_refusal_is_its_sentence(tmp_path: Path) -> None:
    cloud = Cloud()
    cloud.busy = True
    async with running(cloud, tmp_path):
        with pytest.raises(Conflict, match=r"^the cloud refuses: 2 guests are there\.$"):
            await hosts._retire(tmp_path, "h 7", dead=False)
        with pytest.raises(NotFound, match="There is no host h8"):
            await hosts._retire(tmp_path, "h8", dead=False)


# --- at the machine


class Door:
    """A host worker's local door."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.orders: list[Any] = []

    async def answer(self, _: str, raw: bytes) -> bytes:
        question: Any = decode(raw, LocalQuestion)  # type: ignore[arg-type]
        if isinstance(question, GuestsHere):
            return encode(LocalAnswer(body=encode(HostHere(name=self.name, heard=False))))
        self.orders.append(question)
        stands = HostStands(name=self.name, enabled=isinstance(question, Undrain), reason="fans", guests=1)
        return encode(LocalAnswer(body=encode(stands)))


@contextlib.asynccontextmanager
async def doors(state: Path, *served: Door) -> AsyncIterator[None]:
    sockets = [LocalSocket(state / "hosts" / f"{n}.sock", door.answer) for n, door in enumerate(served)]
    for one in sockets:
        await one.open()
    try:
        yield
    finally:
        for one in sockets:
            await one.close()


ORDER = Drain(urn="urn:1", host="", user="", reason="fans")


async def test_the_one_of_this_machine_needs_no_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    door = Door("h")
    async with doors(tmp_path, door):
        await hosts._ordered_here(tmp_path, "", ORDER)
    assert door.orders == [ORDER]
    assert capsys.readouterr().out == "h is drained (fans): it takes no new guests; 1 guest there: untouched\n"


async def test_of_several_one_is_named(tmp_path: Path) -> None:
    one, two = Door("one"), Door("two")
    async with doors(tmp_path, one, two):
        with pytest.raises(BadRequest, match=r"2 hosts run over .*: say which \(one, two\)"):
            await hosts._ordered_here(tmp_path, "", ORDER)
        await hosts._ordered_here(tmp_path, "two", ORDER)
        with pytest.raises(NotFound, match="no host named three"):
            await hosts._ordered_here(tmp_path, "three", ORDER)
    assert (one.orders, two.orders) == ([], [ORDER])
