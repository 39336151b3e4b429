"""Feeds of a project, and the hub (W3C WebSub) that tells of what is new in them.

A feed's URL has a key in its query, and whoever has the URL may read the feed and subscribe to it: a subscriber of
WebSub knows no token. The query is in no log.
"""

import re
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from freehold.api.asking import notifier
from freehold.api.call import Answer, Body, Call
from freehold.api.native.webhooks import project_of
from freehold.api.reading import every, find, not_found
from freehold.views.feed import Event
from freehold.views.syndication import TYPES, document, links
from freehold.vocabulary.codec import decode
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, NotFound
from freehold.vocabulary.notification import (
    CreateFeed,
    DeleteFeed,
    Feed,
    FeedMade,
    FeedPage,
    ReadFeed,
    Subscribe,
)
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.units import iso_millis

FIELDS_MAX: Final = 50
FORM: Final = "application/x-www-form-urlencoded"

_NAME: Final = re.compile(r"([0-9a-f-]{36})\.(atom|json)")
_FEEDS: Final = "/v1/feeds/"


class _New(Body, frozen=True, kw_only=True):
    about: str = ""


class NewBody(Body, frozen=True, kw_only=True):
    """POST /v1/feeds."""

    feed: _New = _New()


async def index(call: Call) -> Answer:
    """GET /v1/feeds: the project's, without what opens them."""
    feeds = await every(call, Feed, project_of(call), newest_first=False)
    return Answer(body={"feeds": [_shown(feed) for feed in feeds]})


async def create(call: Call) -> Answer:
    """POST /v1/feeds: of what happens from now on, in the project or to what it is `about`. The URLs are shown this
    once.
    """
    wanted = call.read(NewBody).feed
    feed = Feed(id="", project=project_of(call), user=call.caller.user, about=wanted.about)
    made = await notifier(call, CreateFeed(feed=feed), FeedMade)
    found = await find(call, Feed, made.done.key)
    if found is None:
        raise NotFound(not_found("Feed", made.done.key))
    urls = {f"{how}_url": _url(call, found.id, how, made.key) for how in TYPES}
    return Answer(201, {"feed": _shown(found) | urls})


async def delete(call: Call) -> Answer:
    """DELETE /v1/feeds/{id}: its URLs are void, and subscribers are told so."""
    feed = call.params["id"]
    found = await find(call, Feed, feed)
    if found is None or not call.caller.owns(found.project):
        raise NotFound(not_found("Feed", feed))
    await notifier(call, DeleteFeed(feed=found.id, project=found.project), Done)
    return Answer(204)


async def read(call: Call) -> Answer:
    """GET /v1/feeds/{id}.atom or .json, ``?key=…``: the last events, with links to the hub and to itself."""
    named = _NAME.fullmatch(call.params["id"])
    if named is None:
        raise NotFound("A feed ends in .atom or .json.")
    feed, how, key = named[1], named[2], Secret(call.query.one("key") or "")
    page = await notifier(call, ReadFeed(feed=feed, key=key), FeedPage)
    topic, hub = _url(call, feed, how, key), _hub(call)
    events = [decode(event, Event) for event in page.events]
    body = document(how, _title(page.feed), topic, hub, events, page.updated)
    return Answer(200, body, {"link": links(topic, hub), "cache-control": "private, no-cache"}, TYPES[how])


async def hub(call: Call) -> Answer:
    """POST /v1/hub: a subscriber's request, by form. 202; the subscriber is asked back then."""
    form = _form(call)
    mode, topic, callback = (_needed(form, name) for name in ("hub.mode", "hub.topic", "hub.callback"))
    if mode not in ("subscribe", "unsubscribe"):
        raise BadRequest("hub.mode is subscribe or unsubscribe.")
    feed, key = _topic(call, topic)
    secret = form.get("hub.secret")
    question = Subscribe(
        feed=feed,
        key=key,
        topic=topic,
        hub=_hub(call),
        callback=Secret(callback),
        secret=Secret(secret) if secret else None,
        lease_s=_lease_s(form),
        ends=mode == "unsubscribe",
    )
    await notifier(call, question, Done)
    return Answer(202)


def _form(call: Call) -> dict[str, str]:
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise BadRequest(f"A request to the hub is a form: Content-Type {FORM}.")
    try:
        return dict(parse_qsl(call.body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"))
    except ValueError as error:  # UnicodeDecodeError is one
        raise BadRequest("The form can't be read.") from error


def _needed(form: dict[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise BadRequest(f"{name} is missing.")
    return value


def _lease_s(form: dict[str, str]) -> int | None:
    text = form.get("hub.lease_seconds", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequest("hub.lease_seconds is a number of seconds.")
    return int(text)


def _topic(call: Call, topic: str) -> tuple[str, Secret]:
    """The feed that a topic's URL names, and its key. Raises NotFound."""
    try:
        parts = urlsplit(topic)
        query = dict(parse_qsl(parts.query, max_num_fields=FIELDS_MAX))
    except ValueError as error:
        raise BadRequest("hub.topic isn't a URL.") from error
    place, _, name = topic.partition("?")[0].rpartition("/")
    named = _NAME.fullmatch(name)
    if place != f"{call.base_url}{_FEEDS}".rstrip("/") or named is None or not parts.hostname:
        raise NotFound("hub.topic is no feed of this hub's: give the URL that the feed says is its own (rel=self).")
    return named[1], Secret(query.get("key", ""))


def _url(call: Call, feed: str, how: str, key: Secret) -> str:
    return f"{call.base_url}{_FEEDS}{feed}.{how}?key={key.reveal()}"


def _hub(call: Call) -> str:
    return f"{call.base_url}/v1/hub"


def _title(feed: Feed) -> str:
    return f"What happens to {feed.about}" if feed.about else f"What happens in project {feed.project}"


def _shown(feed: Feed) -> dict[str, Any]:
    return {
        "id": feed.id,
        "project_id": feed.project,
        "user_id": feed.user,
        "about": feed.about or None,
        "created_at": iso_millis(feed.created),
    }
