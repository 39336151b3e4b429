"""Machines through the API: let in by invitation, listed, shut out; and nothing that a client sends is a 500."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from freehold.bus import passports
from freehold.runtime.chance import SeededChance
from freehold.runtime.keys import SigningKey
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.machine import Passported, mac
from freehold.vocabulary.secret import Secret
from freehold.workers.base import Means
from freehold.workers.directory.records import Records
from freehold.workers.directory.worker import DirectoryWorker
from tests.api.conftest import Api
from tests.owners import store_at

MACHINES, INVITATIONS = "/freehold/v1/machines", "/freehold/v1/invitations"
KEY = SigningKey.made(SeededChance(9))


@pytest.fixture
async def directory(api: Api, tmp_path: Path) -> AsyncIterator[Records]:
    means = Means(api.cloud.bus, api.cloud.clock, SeededChance(4), offload_inline)
    store = await store_at(tmp_path / "directory.db", means, role="directory")
    worker = DirectoryWorker(means, store, await Records(store).authority(means.chance))
    await worker.open()
    yield Records(store)
    await worker.close()
    await store.close()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def invitation(api: Api, **more: Any) -> list[str]:
    reply = await api.admin.post(INVITATIONS, {"invitation": {"name": "h1", "roles": ["host"]} | more})
    assert reply.status == 201, reply.body
    return str(reply.json["invitation"]["text"]).split(".")


def taken_up(number: str, secret: str) -> dict[str, Any]:
    request = passports.machine_request(KEY, ("store-1",), number)
    return {"machine": {"invitation": number, "request": text(request), "mac": text(mac(Secret(secret), request))}}


async def test_a_machine_is_let_in_listed_and_shut_out(api: Api, directory: Records) -> None:
    form, number, secret, authority = await invitation(api)
    assert form == "fh1"
    reply = await api.nobody.post(MACHINES, taken_up(number, secret))
    assert reply.status == 201
    papers = passports.read_papers(Passported(papers=base64.b64decode(reply.json["machine"]["papers"])))
    passport = passports.opened_passport(papers.passport, bytes.fromhex(authority))
    assert passport is not None and (passport.name, passport.key) == ("h1", KEY.public)
    assert (await api.admin.ask("DELETE", f"{MACHINES}/{passport.machine}")).status == 204
    (machine,) = (await api.admin.get(MACHINES)).json["machines"]
    assert (machine["id"], machine["name"], machine["stores"]) == (passport.machine, "h1", ["store-1"])
    assert machine["barred"] is not None
    assert (await api.nobody.post(MACHINES, taken_up(number, secret))).status == 401
    assert (await api.admin.ask("DELETE", f"{MACHINES}/nobody")).status == 404


async def test_what_a_client_may_not_or_must_not_send_is_told(api: Api, directory: Records) -> None:
    _, number, secret, _ = await invitation(api, name="h2", life_s=60)
    for body, status in (
        (taken_up(number, "00" * 24), 401),
        (taken_up("no-such-invitation", secret), 401),
        ({"machine": {"invitation": number, "request": "!", "mac": ""}}, 400),
        ({"machine": {"invitation": number}}, 400),
        ({"machine": {"invitation": number, "request": "", "mac": "", "more": 1}}, 400),
    ):
        assert (await api.nobody.post(MACHINES, body)).status == status, body
    for wanted, status in (
        ({"name": "h2", "roles": []}, 400),
        ({"name": "h3", "roles": ["king"]}, 400),
        ({"name": "h3", "roles": ["host"], "life_s": -1}, 400),
        ({"name": "", "roles": ["host"]}, 400),
    ):
        assert (await api.admin.post(INVITATIONS, {"invitation": wanted})).status == status, wanted
    assert (await api.member.post(INVITATIONS, {"invitation": {"name": "h4", "roles": ["host"]}})).status == 403
    assert (await api.nobody.get(MACHINES)).status == 401
    assert not directory.machines()


async def test_without_a_directory_the_api_says_so(api: Api) -> None:
    reply = await api.admin.post(INVITATIONS, {"invitation": {"name": "h1", "roles": ["host"]}})
    assert reply.status == 503
    assert (await api.admin.get(MACHINES)).json == {"machines": []}
