"""Feeds and the hub through the API: whoever has a feed's URL reads it and subscribes, and nobody else."""

from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as Xml

import pytest

from tests.api.asgi import Reply
from tests.api.conftest import Api
from tests.owners import until
from tests.workers.notifier.bench import URL, Receiver

FEEDS, HUB = "/freehold/v1/feeds", "/freehold/v1/hub"
NETWORKS = "/network/v2.0/networks"
ATOM = "{http://www.w3.org/2005/Atom}"
FORM = {"content_type": "application/x-www-form-urlencoded"}


async def made(api: Api, **fields: Any) -> Any:
    reply = await api.member.post(FEEDS, {"feed": fields})
    assert reply.status == 201, reply.body
    return reply.json["feed"]


def inside(url: str) -> str:
    """A URL of the cloud's as a client in this process asks it."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


async def hub(api: Api, **fields: str) -> Reply:
    form = urlencode({f"hub.{name}": value for name, value in fields.items()}).encode()
    return await api.nobody.ask("POST", HUB, form, FORM)


async def test_a_feed_is_read_by_who_has_its_url(api: Api, receiver: Receiver) -> None:
    feed = await made(api)
    await api.other.post(NETWORKS, {"network": {"name": "theirs"}})
    await api.member.post(NETWORKS, {"network": {"name": "mine <&>"}})
    while b"mine" not in (reply := await api.nobody.get(inside(feed["atom_url"]))).body:
        pass
    assert reply.headers["content-type"] == "application/atom+xml"
    assert 'rel="hub"' in reply.headers["link"] and f'<{feed["atom_url"]}>; rel="self"' in reply.headers["link"]
    document = Xml.fromstring(reply.body)
    links = {link.get("rel"): link.get("href") for link in document.findall(f"{ATOM}link")}
    assert links == {"self": feed["atom_url"], "hub": "http://cloud.example/freehold/v1/hub"}
    assert len(document.findall(f"{ATOM}entry")) == 1
    reply = await api.nobody.get(inside(feed["json_url"]))
    assert reply.headers["content-type"] == "application/feed+json"
    assert reply.json["version"] == "https://jsonfeed.org/version/1.1" and reply.json["hubs"][0]["type"] == "WebSub"
    assert [item["_freehold"]["data"]["name"][:4] for item in reply.json["items"]] == ["mine"]
    assert (await api.nobody.ask("HEAD", inside(feed["atom_url"]))).headers["link"]


async def test_a_feed_has_no_other_door(api: Api, receiver: Receiver) -> None:
    feed = await made(api)
    for path in (
        f"{FEEDS}/{feed['id']}.atom",
        f"{FEEDS}/{feed['id']}.atom?key=",
        f"{FEEDS}/{feed['id']}.atom?key=guessed",
        f"{FEEDS}/{feed['id']}.rss?key=guessed",
        f"{FEEDS}/{feed['id']}",
        f"{FEEDS}/00000000-0000-4000-8000-000000000000.json?key=guessed",
        f"{FEEDS}/..%2f..%2fetc.atom?key=x",
    ):
        assert (await api.nobody.get(path)).status == 404, path
        assert (await api.admin.get(path)).status == 404, path
    assert (await api.other.get(FEEDS)).json == {"feeds": []}
    assert (await api.other.delete(f"{FEEDS}/{feed['id']}")).status == 404
    (shown,) = (await api.member.get(FEEDS)).json["feeds"]
    assert "atom_url" not in shown
    assert (await api.member.delete(f"{FEEDS}/{feed['id']}")).status == 204
    assert (await api.nobody.get(inside(feed["atom_url"]))).status == 404


@pytest.mark.parametrize("how", ["atom_url", "json_url"])
async def test_a_subscriber_discovers_subscribes_and_is_told(api: Api, receiver: Receiver, how: str) -> None:
    feed = await made(api)
    reply = await hub(api, mode="subscribe", topic=feed[how], callback=URL, lease_seconds="3600", secret="s")
    assert reply.status == 202, reply.body
    await until(lambda: receiver.asked)
    assert receiver.asked[0]["hub.lease_seconds"] == "3600"
    await api.member.post(NETWORKS, {"network": {"name": "mine"}})
    await until(lambda: receiver.got)
    told = dict(receiver.got[0].headers)
    assert f'<{feed[how]}>; rel="self"' in told["Link"] and told["X-Hub-Signature"].startswith("sha256=")
    assert b"mine" in receiver.got[0].body
    assert (await hub(api, mode="unsubscribe", topic=feed[how], callback=URL)).status == 202
    await until(lambda: len(receiver.asked) == 2)


async def test_what_a_hub_cant_take_is_refused(api: Api, receiver: Receiver) -> None:
    feed = await made(api)
    good = {"mode": "subscribe", "topic": feed["atom_url"], "callback": URL}
    for wrong, status in (
        ({"mode": "publish"}, 400),
        ({"mode": ""}, 400),
        ({"topic": ""}, 400),
        ({"callback": ""}, 400),
        ({"callback": "http://127.0.0.1/"}, 400),
        ({"callback": "javascript:alert(1)"}, 400),
        ({"callback": URL + "/" + "a" * 1000}, 400),
        ({"lease_seconds": "soon"}, 400),
        ({"lease_seconds": "-1"}, 400),
        ({"secret": "s" * 200}, 400),
        ({"topic": feed["atom_url"] + "x"}, 404),
        ({"topic": feed["atom_url"].partition("?")[0]}, 404),
        ({"topic": "http://elsewhere.example/feed.atom"}, 404),
        ({"topic": feed["atom_url"].replace("cloud.example", "cloud.example@evil.example")}, 404),
        ({"topic": "http://[::1"}, 400),
    ):
        reply = await hub(api, **{**good, **wrong})
        assert reply.status == status, (wrong, reply.body)
    assert (await api.nobody.post(HUB, good)).status == 400
    assert (await api.nobody.ask("POST", HUB, b"hub.mode=%ff%fe", FORM)).status == 400
    assert (await api.nobody.ask("POST", HUB, b"&a=b" * 1000, FORM)).status == 400
    assert receiver.asked == []


async def test_what_a_hub_doesnt_know_it_ignores(api: Api, receiver: Receiver) -> None:
    """WebSub 5.1: hubs MUST ignore additional request parameters they do not understand."""
    feed = await made(api)
    assert (await hub(api, mode="subscribe", topic=feed["atom_url"], callback=URL, colour="blue")).status == 202


@pytest.mark.parametrize("wanted", [{"about": 7}, {"about": "a b"}, {"about": "x" * 200}, {"key": "mine"}])
async def test_what_isnt_right_is_refused(api: Api, receiver: Receiver, wanted: dict[str, Any]) -> None:
    assert (await api.member.post(FEEDS, {"feed": wanted})).status == 400
