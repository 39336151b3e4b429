"""A feed of events as a document: Atom (RFC 4287) and JSON Feed 1.1. Pure.

Both name the hub and themselves, as WebSub wants it, in the document and in the header `links` gives.
"""

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as Xml

import msgspec

from freehold.views.feed import Event, envelope
from freehold.vocabulary.units import iso_millis

TYPES: Final = {"atom": "application/atom+xml", "json": "application/feed+json"}
"""The formats, and the media type of each."""
_ATOM: Final = "http://www.w3.org/2005/Atom"
_UNSAID: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to say."""


def links(topic: str, hub: str) -> str:
    """The value of the Link header of a document, and of what the hub sends of it."""
    return f'<{hub}>; rel="hub", <{topic}>; rel="self"'


def document(how: str, title: str, topic: str, hub: str, events: Sequence[Event], updated: int) -> bytes:
    """The document in the format `how`, of `events`, newest first. `topic`: its own URL. `updated`: a clock time."""
    write = _atom if how == "atom" else _json
    return write(title, topic, hub, events, updated)


def _atom(title: str, topic: str, hub: str, events: Sequence[Event], updated: int) -> bytes:
    feed = Xml.Element("feed", xmlns=_ATOM)
    _text(feed, "id", topic.partition("?")[0])
    _text(feed, "title", title)
    _text(feed, "updated", iso_millis(updated))
    _text(Xml.SubElement(feed, "author"), "name", "Freehold")
    Xml.SubElement(feed, "link", rel="self", href=topic)
    Xml.SubElement(feed, "link", rel="hub", href=hub)
    for event in events:
        entry = Xml.SubElement(feed, "entry")
        _text(entry, "id", f"urn:freehold:event:{event.id}")
        _text(entry, "title", _title(event))
        _text(entry, "updated", iso_millis(event.time))
        Xml.SubElement(entry, "category", term=event.type)
        _text(entry, "content", msgspec.json.encode(envelope(event)).decode(), type="text")
    text: str = Xml.tostring(feed, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}'.encode()


def _text(parent: Xml.Element, name: str, text: str, **attributes: str) -> None:
    Xml.SubElement(parent, name, attributes).text = _UNSAID.sub("\ufffd", text)


def _json(title: str, topic: str, hub: str, events: Sequence[Event], updated: int) -> bytes:
    del updated  # the format has no place for it
    return msgspec.json.encode(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": title,
            "feed_url": topic,
            "hubs": [{"type": "WebSub", "url": hub}],
            "authors": [{"name": "Freehold"}],
            "items": [
                {
                    "id": f"urn:freehold:event:{event.id}",
                    "title": _title(event),
                    "content_text": msgspec.json.encode(event.data).decode(),
                    "date_published": iso_millis(event.time),
                    "tags": [event.type],
                    "_freehold": envelope(event),
                }
                for event in events
            ],
        }
    )


def _title(event: Event) -> str:
    name = event.data.get("name") or event.subject[1]
    return f"{event.subject[0]} {name}: {event.type.rpartition('.')[2]}"
