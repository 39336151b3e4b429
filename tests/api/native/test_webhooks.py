"""Webhooks through the API: made, shown, tried, changed; nobody sees another project's, and no body is a 500."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.owners import until
from tests.workers.notifier.bench import URL, Answered, Receiver

HOOKS = "/freehold/v1/webhooks"
NETWORKS = "/network/v2.0/networks"


async def made(api: Api, **fields: Any) -> Any:
    reply = await api.member.post(HOOKS, {"webhook": {"url": URL, **fields}})
    assert reply.status == 201, reply.body
    return reply.json["webhook"]


async def test_a_webhook_is_told_of_its_project_and_of_no_other(api: Api, receiver: Receiver) -> None:
    hook = await made(api, name="ours", types=["freehold.network.*"])
    assert hook["secret"].startswith("whsec_") and hook["enabled"] and hook["project_id"] == api.project
    await api.other.post(NETWORKS, {"network": {"name": "theirs"}})
    await api.member.post(NETWORKS, {"network": {"name": "mine"}})
    await until(lambda: receiver.got)
    assert [body["data"]["name"] for body in receiver.bodies()] == ["mine"]


async def test_its_secret_is_shown_once(api: Api, receiver: Receiver) -> None:
    hook = await made(api)
    shown = (await api.member.get(f"{HOOKS}/{hook['id']}")).json["webhook"]
    assert shown == {name: value for name, value in hook.items() if name != "secret"}
    assert (await api.member.get(HOOKS)).json["webhooks"] == [shown]
    fresh = (await api.member.post(f"{HOOKS}/{hook['id']}/secret", {})).json["webhook"]
    assert fresh["secret"] != hook["secret"]


async def test_nobody_has_a_part_in_another_projects(api: Api, receiver: Receiver) -> None:
    hook = await made(api)
    one = f"{HOOKS}/{hook['id']}"
    assert (await api.other.get(HOOKS)).json == {"webhooks": []}
    for method, path in (
        ("GET", one),
        ("PUT", one),
        ("DELETE", one),
        ("POST", f"{one}/secret"),
        ("POST", f"{one}/ping"),
        ("GET", f"{one}/deliveries"),
        ("POST", f"{one}/deliveries/1/resend"),
    ):
        reply = await api.other.ask(method, path, {"webhook": {"enabled": False}})
        assert reply.status == 404, (method, path)
        assert (await api.nobody.ask(method, path, {})).status == 401
    assert (await api.other.get(f"{HOOKS}?all_projects=true")).status == 403
    assert len((await api.admin.get(f"{HOOKS}?all_projects=true")).json["webhooks"]) == 1


async def test_a_ping_the_log_and_a_second_sending(api: Api, receiver: Receiver) -> None:
    hook = await made(api)
    one = f"{HOOKS}/{hook['id']}"
    assert (await api.member.post(f"{one}/ping", {})).json["attempt"]["taken"]
    receiver.fates = [Answered(500)]
    attempt = (await api.member.post(f"{one}/ping", {})).json["attempt"]
    assert (attempt["taken"], attempt["status"]) == (False, 500)
    await api.member.post(NETWORKS, {"network": {"name": "mine"}})
    await until(lambda: len(receiver.got) == 3)

    async def log() -> Any:
        return (await api.member.get(f"{one}/deliveries")).json["deliveries"]

    while (await log())[0]["state"] != "taken":
        pass
    (delivery,) = await log()
    assert delivery["type"] == "freehold.network.created" and delivery["last_attempt"]["status"] == 200
    assert (await api.member.post(f"{one}/deliveries/{delivery['id']}/resend", {})).status == 202
    await until(lambda: len(receiver.got) == 4)
    assert receiver.bodies()[3] == receiver.bodies()[2]


async def test_it_is_changed_disabled_and_deleted(api: Api, receiver: Receiver) -> None:
    hook = await made(api)
    one = f"{HOOKS}/{hook['id']}"
    reply = await api.member.put(one, {"webhook": {"enabled": False, "name": "quiet"}})
    assert reply.json["webhook"]["disabled_reason"] and reply.json["webhook"]["name"] == "quiet"
    await api.member.post(NETWORKS, {"network": {"name": "unheard"}})
    reply = await api.member.put(one, {"webhook": {"enabled": True}})
    assert reply.json["webhook"]["disabled_reason"] is None
    await until(lambda: receiver.types() == ["events.missed"])
    assert (await api.member.delete(one)).status == 204
    assert (await api.member.get(one)).status == 404


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"url": 7},
        {"url": ""},
        {"url": "http://127.0.0.1/"},
        {"url": "http://2130706433/"},
        {"url": "http://169.254.169.254/latest/meta-data"},
        {"url": "http://[::ffff:10.0.0.1]/"},
        {"url": "ftp://hooks.example/"},
        {"url": "https://hooks.example:25/"},
        {"url": "https://user:pass@hooks.example/"},
        {"url": "https://hooks.example/" + "a" * 3000},
        {"url": URL, "types": ["freehold.nothing"]},
        {"url": URL, "types": ["*"] * 51},
        {"url": URL, "types": ["\ud800".encode("utf-8", "surrogatepass").decode("latin-1")]},
        {"url": URL, "about": ["a b"]},
        {"url": URL, "about": "g"},
        {"url": URL, "name": "n" * 300},
        {"url": URL, "secret": "mine"},
        {"url": URL, "id": "mine"},
    ],
)
async def test_what_isnt_right_is_refused(api: Api, receiver: Receiver, wanted: dict[str, Any]) -> None:
    reply = await api.member.post(HOOKS, {"webhook": wanted})
    assert reply.status == 400, reply.body
    assert reply.json["error"]["message"]


async def test_a_project_has_so_many(api: Api, receiver: Receiver) -> None:
    for _ in range(20):
        await made(api)
    assert (await api.member.post(HOOKS, {"webhook": {"url": URL}})).status == 403


async def test_without_a_notifier_it_says_so(api: Api) -> None:
    for reply in (await api.member.get(HOOKS), await api.member.post(HOOKS, {"webhook": {"url": URL}})):
        assert reply.status == 503 and "notifier" in reply.json["error"]["message"]
