"""Feeds as documents: well-formed whatever the names in them are."""

import json
from xml.etree import ElementTree as Xml

import pytest

from freehold.views.feed import Event
from freehold.views.syndication import document, links
from freehold.vocabulary.units import clock_time

TOPIC, HUB = "https://c.example/feeds/f.atom?key=k&x=<>", "https://c.example/hub"
ATOM = "{http://www.w3.org/2005/Atom}"


def event(name: str) -> Event:
    return Event(
        id="e1",
        type="freehold.guest.active",
        subject=("guest", "g"),
        project="p",
        time=clock_time(1_700_000_000_123),
        data={"id": "g", "name": name},
    )


@pytest.mark.parametrize("name", ["one", "<b>&\"'", "\u0000\u0007\ufffe", "\U0001f600", "]]>", ""])
def test_a_document_is_well_formed_and_names_hub_and_self(name: str) -> None:
    feed = Xml.fromstring(document("atom", "title & more", TOPIC, HUB, [event(name)], 0))
    assert {one.get("rel"): one.get("href") for one in feed.findall(f"{ATOM}link")} == {"self": TOPIC, "hub": HUB}
    (entry,) = feed.findall(f"{ATOM}entry")
    told = {child.tag.removeprefix(ATOM): child.text for child in entry}
    assert told["id"] == "urn:freehold:event:e1" and told["updated"] == "2023-11-14T22:13:20.123Z"
    assert json.loads(told["content"] or "")["type"] == "freehold.guest.active"
    for required in ("id", "title", "updated", "author"):
        assert feed.find(f"{ATOM}{required}") is not None, "RFC 4287, 4.1.1"
    read = json.loads(document("json", "title", TOPIC, HUB, [event(name)], 0))
    assert read["feed_url"] == TOPIC and read["hubs"] == [{"type": "WebSub", "url": HUB}]
    assert read["items"][0]["_freehold"]["data"]["name"] == name


def test_an_empty_feed_is_one_too() -> None:
    assert Xml.fromstring(document("atom", "t", TOPIC, HUB, [], 1 << 60)).findall(f"{ATOM}entry") == []
    assert json.loads(document("json", "t", TOPIC, HUB, [], 0))["items"] == []


def test_links_are_one_header() -> None:
    assert links("https://c/t", "https://c/h") == '<https://c/h>; rel="hub", <https://c/t>; rel="self"'
