"""WebSub's hub, by the Recommendation of 23 January 2018: what a subscriber asks, is asked back, and is told.

The sections named are the Recommendation's: https://www.w3.org/TR/2018/REC-websub-20180123/
"""

import hashlib
import hmac
from xml.etree import ElementTree as Xml

import pytest

from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, NotFound, QuotaExceeded
from freehold.vocabulary.guest import GuestState
from freehold.vocabulary.notification import LEASE_S, LEASE_S_MAX, LEASE_S_MIN, LEASES_MAX, DeleteFeed, FeedMade
from freehold.vocabulary.secret import Secret
from tests.owners import until
from tests.workers.notifier.bench import HUB, OTHER_URL, Answered, Bench, Failed, Receiver

S = GuestState
ATOM = "{http://www.w3.org/2005/Atom}"


async def happen(bench: Bench, guest: str) -> None:
    """Something happens that feeds show."""
    await bench.admit(guest)
    await bench.run(guest, S.RUNNING)
    await bench.idle()


async def holding(bench: Bench, callback: str = OTHER_URL, **fields: object) -> tuple[FeedMade, str]:
    """A feed, and its topic with a verified subscriber."""
    feed = await bench.feed()
    topic = await bench.subscribe(feed, callback, **fields)
    await until(lambda: not bench.worker._records.wishes)
    return feed, topic


async def test_a_subscriber_is_asked_back_and_then_told(bench: Bench) -> None:
    """5.3: hub.mode, hub.topic, hub.challenge, hub.lease_seconds; 7: the topic's type, and links to hub and topic."""
    _, topic = await holding(bench)
    receiver = bench.receivers[OTHER_URL]
    (asked,) = receiver.asked
    assert asked["hub.mode"] == "subscribe" and asked["hub.topic"] == topic
    assert len(asked["hub.challenge"]) >= 32 and asked["hub.lease_seconds"] == str(LEASE_S)
    await happen(bench, "g")
    told = receiver.got[-1]
    headers = dict(told.headers)
    assert told.method == "POST" and headers["Content-Type"] == "application/atom+xml"
    assert headers["Link"] == f'<{HUB}>; rel="hub", <{topic}>; rel="self"'
    entries = Xml.fromstring(told.body).findall(f"{ATOM}entry")
    assert len(entries) == 1 and "X-Hub-Signature" not in headers


async def test_a_secret_signs_what_is_told(bench: Bench) -> None:
    """7.1: X-Hub-Signature is the HMAC of the body."""
    await holding(bench, secret=Secret("a shared secret"))
    await happen(bench, "g")
    for told in bench.receivers[OTHER_URL].got:
        digest = hmac.new(b"a shared secret", told.body, hashlib.sha256).hexdigest()
        assert dict(told.headers)["X-Hub-Signature"] == f"sha256={digest}"


async def test_a_secret_is_under_200_bytes(bench: Bench) -> None:
    """5.1: hub.secret MUST be less than 200 bytes."""
    with pytest.raises(BadRequest, match="199"):
        await holding(bench, secret=Secret("s" * 200))


@pytest.mark.parametrize(
    "answer", [Answered(200, b"another"), Answered(200, b""), Answered(404), Answered(302, location=OTHER_URL)]
)
async def test_who_does_not_confirm_is_told_nothing(bench: Bench, answer: Answered) -> None:
    """5.3.1: anything but 2xx with the challenge is a failure."""
    feed = await bench.feed()
    bench.receivers[OTHER_URL] = Receiver(fates=[answer])
    await bench.subscribe(feed)
    await until(lambda: not bench.worker._records.wishes)
    await happen(bench, "g")
    receiver = bench.receivers[OTHER_URL]
    assert receiver.got == [] and len(receiver.asked) == 1


async def test_who_cannot_be_reached_is_asked_again_but_not_for_ever(bench: Bench) -> None:
    feed = await bench.feed()
    receiver = bench.receivers[OTHER_URL] = Receiver()
    receiver.fates = [Failed("no connection")] * 5
    await bench.subscribe(feed)
    for _ in range(10):
        await bench.idle()
        bench.clock.move(11.0)
    assert len(receiver.asked) == 3 and bench.worker._records.wishes == {}


async def test_a_wish_outlives_the_process(bench: Bench) -> None:
    feed = await bench.feed()
    receiver = bench.receivers[OTHER_URL] = Receiver()
    receiver.fates = [Answered(503)]
    await bench.subscribe(feed)
    await until(lambda: receiver.asked)
    await bench.restart(killed=True)
    await until(lambda: not bench.worker._records.wishes)
    await happen(bench, "g")
    assert receiver.got


async def test_a_query_of_the_callback_is_kept(bench: Bench) -> None:
    """5.3: what the callback's own query has stays."""
    callback = f"{OTHER_URL}?topic=mine&x=%26"
    bench.receivers[OTHER_URL] = Receiver()
    feed = await bench.feed()
    bench.receivers[callback] = bench.receivers[OTHER_URL]
    await bench.subscribe(feed, callback)
    await until(lambda: not bench.worker._records.wishes)
    (asked,) = bench.receivers[OTHER_URL].asked
    assert asked["topic"] == "mine" and asked["x"] == "&" and asked["hub.mode"] == "subscribe"


async def test_a_lease_runs_out(bench: Bench) -> None:
    """5.3.1: hubs MUST enforce lease expirations."""
    await holding(bench, lease_s=LEASE_S_MIN)
    await happen(bench, "g")
    told = len(bench.receivers[OTHER_URL].got)
    assert told
    bench.clock.move(LEASE_S_MIN + 1.0)
    await happen(bench, "h")
    assert len(bench.receivers[OTHER_URL].got) == told


@pytest.mark.parametrize(("asked", "given"), [(None, LEASE_S), (1, LEASE_S_MIN), (10**12, LEASE_S_MAX), (86400, 86400)])
async def test_a_lease_is_bounded(bench: Bench, asked: int | None, given: int) -> None:
    """5.1: the hub decides; 5.3.1: MUST NOT issue perpetual leases."""
    await holding(bench, lease_s=asked)
    assert bench.receivers[OTHER_URL].asked[0]["hub.lease_seconds"] == str(given)


async def test_a_lease_is_renewed_and_told_of_once(bench: Bench) -> None:
    """5.1: a later request of the same topic and callback takes the place of the earlier."""
    feed, _ = await holding(bench, lease_s=LEASE_S_MIN)
    bench.clock.move(LEASE_S_MIN - 10.0)
    await bench.subscribe(feed, lease_s=LEASE_S_MIN)
    await until(lambda: not bench.worker._records.wishes)
    bench.clock.move(20.0)
    await bench.admit("g")
    await bench.idle()
    assert len(bench.receivers[OTHER_URL].got) == len({told.body for told in bench.receivers[OTHER_URL].got}) > 0


async def test_a_renewal_that_fails_leaves_the_lease(bench: Bench) -> None:
    """5.1: failures to confirm MUST leave the subscription state unchanged."""
    feed, _ = await holding(bench)
    bench.receivers[OTHER_URL].confirms = False
    await bench.subscribe(feed, secret=Secret("another"))
    await until(lambda: not bench.worker._records.wishes)
    await happen(bench, "g")
    told = bench.receivers[OTHER_URL].got
    assert told and "X-Hub-Signature" not in dict(told[0].headers)


async def test_a_subscriber_ends_it(bench: Bench) -> None:
    """5.1, 5.3: unsubscribe is asked back as well; not confirmed, it changes nothing."""
    feed, _ = await holding(bench)
    receiver = bench.receivers[OTHER_URL]
    receiver.confirms = False
    await bench.subscribe(feed, ends=True)
    await until(lambda: not bench.worker._records.wishes)
    await happen(bench, "g")
    told = len(receiver.got)
    assert told and receiver.asked[-1]["hub.mode"] == "unsubscribe"
    receiver.confirms = True
    await bench.subscribe(feed, ends=True)
    await until(lambda: not bench.worker._records.wishes)
    await happen(bench, "h")
    assert len(receiver.got) == told


async def test_410_ends_a_subscription(bench: Bench) -> None:
    """7: "Gone" may end it."""
    await holding(bench)
    bench.receivers[OTHER_URL].fates = [Answered(410)]
    await happen(bench, "g")
    assert len(bench.receivers[OTHER_URL].got) == 1
    await happen(bench, "h")
    assert len(bench.receivers[OTHER_URL].got) == 1


async def test_what_is_not_taken_is_sent_again(bench: Bench) -> None:
    """7: anything but 2xx is a failure, to be tried again within limits."""
    await holding(bench)
    receiver = bench.receivers[OTHER_URL]
    receiver.fates = [Answered(500)]
    await bench.admit("g")
    await bench.idle()
    bench.clock.move(7.0)
    await bench.idle()
    assert len(receiver.got) >= 2 and receiver.got[0].body == receiver.got[1].body


async def test_a_feed_that_is_gone_denies_its_subscribers(bench: Bench) -> None:
    """5.2: hub.mode=denied, hub.topic, hub.reason."""
    feed, topic = await holding(bench)
    await bench.ask(DeleteFeed(feed=feed.done.key, project="p"), Done)
    await until(lambda: len(bench.receivers[OTHER_URL].asked) == 2)
    denied = bench.receivers[OTHER_URL].asked[-1]
    assert denied == {"hub.mode": "denied", "hub.topic": topic, "hub.reason": "The topic is gone."}
    await happen(bench, "g")
    assert bench.receivers[OTHER_URL].got == []


async def test_a_topic_is_for_who_has_its_key(bench: Bench) -> None:
    feed = await bench.feed()
    for wrong in (FeedMade(done=feed.done, key=Secret("guessed")), FeedMade(done=Done(**_done(feed)), key=feed.key)):
        with pytest.raises(NotFound):
            await bench.subscribe(wrong)


async def test_a_callback_inside_is_refused(bench: Bench) -> None:
    feed = await bench.feed()
    for callback in ("http://127.0.0.1/", "http://169.254.169.254/", "http://[::1]/"):
        with pytest.raises(BadRequest):
            await bench.subscribe(feed, callback)


async def test_a_feed_has_no_end_of_subscribers(bench: Bench) -> None:
    feed = await bench.feed()
    for number in range(LEASES_MAX):
        await bench.subscribe(feed, f"https://hooks.example/{number}")
    with pytest.raises(QuotaExceeded):
        await bench.subscribe(feed, "https://hooks.example/one-more")


async def test_a_feed_about_a_guest_tells_of_no_other(bench: Bench) -> None:
    feed = await bench.feed(about="g")
    await bench.subscribe(feed)
    await until(lambda: not bench.worker._records.wishes)
    for guest in ("g", "h"):
        await happen(bench, guest)
    told = b"".join(told.body for told in bench.receivers[OTHER_URL].got)
    assert b"guest/g" in told and b"guest/h" not in told


def _done(feed: FeedMade) -> dict[str, object]:
    return {"store": feed.done.store, "position": feed.done.position, "key": "00000000-0000-4000-8000-000000000000"}
