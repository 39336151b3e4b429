"""The newsroom: who waits is woken by name, a stream gets what is its own, and what came too early is kept aside."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.views import news
from freehold.views.cursor import Place
from freehold.views.news import OVER, REPLACED, SLOW, Listening, Newsroom, Watch
from freehold.vocabulary.codec import encode, kind_of
from freehold.vocabulary.envelope import NO_DIGEST, Entry, Owner
from freehold.vocabulary.network import Port
from freehold.vocabulary.request import Admission, Stage
from freehold.vocabulary.word import Word
from freehold.workers.registrar import lifecycle
from tests.owners import a_build, a_deed, a_guest, turns

HOST = Owner(store="h1", role="host", cluster="c")
LEDGER = Owner(store="r", role="registrar", cluster="c")
ADMITTED = lifecycle.admitted(a_build(guest="g"))
GIVEN = replace(ADMITTED, stage=Stage.SCHEDULED, deed=a_deed("g"))


class Cloud:
    """A view that is told by hand."""

    def __init__(self) -> None:
        self.records: dict[str, Admission] = {}
        self.seqs: dict[str, int] = {"r": 0, "h1": 0}
        self.news = Newsroom(self)  # type: ignore[arg-type]

    def get(self, shape: type[Any], key: str) -> Any:
        return self.records.get(key) if shape is Admission else None

    def place(self, store: str) -> Place | None:
        return Place(store, "e", self.seqs[store]) if store in self.seqs else None

    def owners_of(self, role: str, cluster: str = "") -> list[str]:
        return []

    def told(self, owner: Owner, key: str, record: Word | None, before: Word | None = None) -> None:
        about = record or before
        assert about is not None
        self.seqs[owner.store] += 1
        if isinstance(about, Admission):
            self.records.pop(key, None)
            if isinstance(record, Admission):
                self.records[key] = record
        value, was = (None if word is None else encode(word) for word in (record, before))
        entry = Entry(self.seqs[owner.store], 1, kind_of(about), key, value, "t", NO_DIGEST)
        self.news.took(owner, "e", [(entry, was)])


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def taken(listening: Listening) -> list[tuple[str, tuple[int, ...]]]:
    """What has come: the type of each event ("" for a step without one), and the sequences that are owed then."""
    found = []
    while (one := listening.take()) is not None:
        kind = "" if one.event is None else one.event.type.removeprefix("freehold.")
        found.append((kind, tuple(place.seq for place in one.owed)))
    return found


async def changes(watch: Watch) -> bool:
    task = asyncio.ensure_future(watch.changed())
    await turns(5)
    done = task.done()
    task.cancel()
    return done


@pytest.mark.parametrize(
    ("key", "record"),
    [
        ("g", a_guest("g", "h1")),
        ("p", Port(id="p", project="p", network="n", mac="m", device="g")),
        ("g/urn:1", a_guest("x", "h1")),
        ("x/g", a_guest("x", "h1")),
    ],
)
async def test_who_waits_for_a_name_is_woken_by_whatever_is_about_it(cloud: Cloud, key: str, record: Word) -> None:
    with cloud.news.watch(["g"]) as watch, cloud.news.watch(["other"]) as stranger:
        cloud.told(HOST, key, record)
        assert await changes(watch) and not await changes(watch) and not await changes(stranger)


async def test_a_stream_gets_what_is_its_projects_from_then_on(cloud: Cloud) -> None:
    cloud.told(LEDGER, "g", GIVEN)
    cloud.told(HOST, "g", a_guest("g", "h1"))
    with cloud.news.listen("p", "r") as listening, cloud.news.listen("q", "r") as stranger:
        cloud.told(HOST, "g", a_guest("g", "h1", state=news_state("stopped")), a_guest("g", "h1"))
        assert taken(listening) == [("guest.stopped", ())] and taken(stranger) == []
    assert not cloud.news.needs_before


def news_state(name: str) -> Any:
    return type(a_guest("g", "h").state)(name)


async def test_what_a_host_tells_too_early_comes_with_the_ledgers_word_and_is_owed_until_then(cloud: Cloud) -> None:
    with cloud.news.listen("p", "r") as listening:
        cloud.told(HOST, "g", a_guest("g", "h1"))
        cloud.told(LEDGER, "other", replace(GIVEN, guest="other"))
        assert taken(listening) == [("", (1,))] and cloud.news.early("p") == (Place("h1", "e", 1),)
        cloud.told(LEDGER, "g", GIVEN)
        assert taken(listening) == [("", (1,)), ("guest.active", ())] and not cloud.news.early("p")


async def test_what_a_host_tells_of_anothers_guest_never_comes(cloud: Cloud) -> None:
    cloud.told(LEDGER, "g", replace(GIVEN, deed=a_deed("g", 3, "h2")))
    with cloud.news.listen("p", "r") as listening:
        cloud.told(HOST, "g", a_guest("g", "h1", 2))
        cloud.told(HOST, "g", a_guest("g", "h1", 9))
        cloud.told(LEDGER, "g", replace(GIVEN, deed=a_deed("g", 10, "h3")), replace(GIVEN, deed=a_deed("g", 3, "h2")))
        assert [kind for kind, _ in taken(listening) if kind] == []


async def test_a_host_may_still_tell_of_a_guest_that_has_just_gone(cloud: Cloud) -> None:
    cloud.told(LEDGER, "g", GIVEN)
    with cloud.news.listen("p", "r") as listening:
        cloud.told(LEDGER, "g", None, GIVEN)
        cloud.told(HOST, "g", a_guest("g", "h1", state=news_state("stopped")), a_guest("g", "h1"))
        assert [kind for kind, _ in taken(listening)] == ["guest.deleted", "guest.stopped"]


async def test_a_deed_names_the_host_whose_log_matters_from_then_on(cloud: Cloud) -> None:
    with cloud.news.listen("p", "r") as listening:
        cloud.told(LEDGER, "g", GIVEN)
        step = listening.take()
        assert step is not None and step.places == (Place("h1", "e", 0),) and step.guest == "g"
        assert listening.stores == {"r", "h1"}


async def test_an_owner_taken_as_a_whole_ends_the_streams_that_it_concerns(cloud: Cloud) -> None:
    with cloud.news.listen("p", "r") as listening, cloud.news.watch(["g"]) as watch:
        cloud.news.replaced(HOST)
        assert not listening.ended and await changes(watch)
        cloud.news.replaced(LEDGER)
        assert listening.ended == REPLACED


async def test_a_stream_that_is_too_far_behind_ends(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "QUEUED_MAX", 2)
    cloud.told(LEDGER, "g", GIVEN)
    with cloud.news.listen("p", "r") as listening:
        for number in range(3):
            cloud.told(HOST, "g", a_guest("g", "h1", labels=labels(number)), a_guest("g", "h1"))
        assert listening.ended == SLOW and listening.take() is None


def labels(number: int) -> Any:
    return replace(a_guest("g", "h").labels, name=f"n{number}")


async def test_when_the_process_ends_so_does_all(cloud: Cloud) -> None:
    with cloud.news.listen("p", "r") as listening, cloud.news.watch(["g"]) as watch:
        cloud.news.end()
        assert listening.ended == OVER and await changes(watch)
    with cloud.news.listen("p", "r") as late:
        assert late.ended == OVER


async def test_only_so_much_is_kept_aside(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "EARLY_MAX", 3)
    with cloud.news.listen("p", "r"):
        for number in range(9):
            cloud.told(HOST, f"g{number}", a_guest(f"g{number}", "h1"))
        assert [place.seq for place in cloud.news.early("p")] == [7, 8, 9]
    assert not cloud.news.early("p")
