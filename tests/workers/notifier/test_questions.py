"""What the notifier is asked about feeds, where an answer must fit into a message."""

from msgspec.structs import replace

from freehold.store.database import put
from freehold.views.feed import Event
from freehold.vocabulary.codec import decode
from freehold.vocabulary.guest import GuestState, Labels
from freehold.vocabulary.notification import RECENT_MAX, FeedPage, ReadFeed
from freehold.workers.notifier.questions import PAGE_BYTES_MAX
from tests.owners import a_guest
from tests.workers.notifier.bench import Bench


async def page(bench: Bench, labels: list[Labels]) -> list[Event]:
    """What a feed shows when a guest was relabelled so, one after another."""
    feed = await bench.feed()
    await bench.admit("g")
    await bench.run("g", GuestState.RUNNING)
    for one in labels:
        await bench.host.commit([put("g", replace(a_guest("g", bench.host.id), labels=one))], "test")
    await bench.idle()
    answer = await bench.ask(ReadFeed(feed=feed.done.key, key=feed.key), FeedPage)
    assert sum(len(event) for event in answer.events) <= PAGE_BYTES_MAX
    return [decode(event, Event) for event in answer.events]


async def test_a_feed_shows_the_newest_and_forgets_the_oldest(bench: Bench) -> None:
    events = await page(bench, [Labels(name=f"n{number}") for number in range(RECENT_MAX + 20)])
    assert len(events) == RECENT_MAX
    assert [event.data["name"] for event in events[:2]] == [f"n{RECENT_MAX + 19}", f"n{RECENT_MAX + 18}"]
    kept = bench.store.scan_private("recent")
    assert len(kept) == RECENT_MAX


async def test_a_feed_of_long_events_shows_what_fits_into_an_answer(bench: Bench) -> None:
    long = [Labels(name="n", description=f"{number}" + "d" * 60_000) for number in range(10)]
    events = await page(bench, long)
    assert 2 <= len(events) <= 4 and events[0].data["description"].startswith("9")
