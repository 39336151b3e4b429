"""What the registrar asks of others for a volume: each question says all that its answerer needs, and no more."""

from dataclasses import replace as with_changes
from typing import Any

import pytest
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import (
    BadRequest,
    Broken,
    Busy,
    Conflict,
    FreeholdError,
    NoAnswer,
    NoRoom,
    NotFound,
    StoreFailed,
    Unavailable,
)
from freehold.vocabulary.image import ImageOffer, OfferImage
from freehold.vocabulary.volume import (
    GrowVolume,
    MakeVolume,
    PoolQuestion,
    RemoveSnapshot,
    RemoveVolume,
    Source,
    SourceKind,
    TakeSnapshot,
    VolumeSpec,
)
from freehold.vocabulary.volume_request import ChoosePool, ChosenPool, VolumeAdmission
from freehold.workers.base import Means
from freehold.workers.registrar.volumes import effects
from freehold.workers.registrar.volumes.lifecycle import Stray
from tests.owners import means_of
from tests.workers.registrar.volumes.bench import a_place, an_admission
from tests.workers.volume.bench import an_offer

VOLUME, SNAPSHOT = an_admission(), an_admission("n", snapshot_of="v")


class Peers:
    """Everybody who is asked, and what they were."""

    def __init__(self) -> None:
        self.means: Means = means_of()
        self.asked: list[Any] = []

    async def serve(self, subject: str, shape: Any, answer: Any) -> None:
        async def answers(question: Any) -> Any:
            self.asked.append(question)
            return answer

        await talk.serve(self.means.bus, subject, shape, answers, "group")


@pytest.fixture
async def peers() -> Peers:
    made = Peers()
    done = Done(store="s1", position=Position(epoch="e"))
    await made.serve(subjects.ask_pool("s1"), PoolQuestion, done)
    await made.serve(subjects.ASK_POOLS, ChoosePool, ChosenPool(store="s1", cluster="c"))
    await made.serve(subjects.ask_image_offer("images"), OfferImage, an_offer())
    return made


async def test_a_pool_is_chosen_among_those_that_have_not_refused(peers: Peers) -> None:
    spec = VolumeSpec(size_gib=3, type="id", type_name="fast", zone="z")
    chosen = await effects.choose_pool(peers.means, an_admission(spec=spec, refused_pools=("s9",)))
    assert chosen == ChosenPool(store="s1", cluster="c")
    assert peers.asked == [ChoosePool(size_gib=3, type_name="fast", zone="z", refused=("s9",))]


@pytest.mark.parametrize("kind", [None, SourceKind.VOLUME, SourceKind.SNAPSHOT])
async def test_only_an_image_is_offered(peers: Peers, kind: SourceKind | None) -> None:
    source = None if kind is None else Source(kind=kind, id="w")
    assert await effects.offer_image(peers.means, an_admission(spec=VolumeSpec(size_gib=1, source=source)), "x") is None
    assert not peers.asked


async def test_an_image_is_offered_to_the_project_that_asks(peers: Peers) -> None:
    spec = VolumeSpec(size_gib=1, source=Source(kind=SourceKind.IMAGE, id="i"))
    offer = await effects.offer_image(peers.means, an_admission(spec=spec), "images")
    assert isinstance(offer, ImageOffer) and peers.asked == [OfferImage(id="i", project="p")]
    with pytest.raises(NoAnswer):
        await effects.offer_image(peers.means, an_admission(spec=spec), "")


@pytest.mark.parametrize("lost", [False, True])
async def test_a_volume_is_asked_for_with_its_place_and_its_offer(peers: Peers, lost: bool) -> None:
    offer = None if lost else an_offer()
    await effects.make(peers.means, replace(VOLUME, lost=lost), a_place(3), offer)
    wanted = MakeVolume(
        volume="v",
        project="p",
        user="u",
        store="s1",
        number=3,
        urn=VOLUME.urn,
        spec=VOLUME.spec,
        labels=VOLUME.labels,
        created=1,
        offer=offer,
        restore=lost,
    )
    assert peers.asked == [wanted]


@pytest.mark.parametrize("lost", [False, True])
async def test_a_snapshot_is_asked_for_with_its_volume(peers: Peers, lost: bool) -> None:
    await effects.make(peers.means, replace(SNAPSHOT, lost=lost), a_place(), None)
    wanted = TakeSnapshot(
        snapshot="n",
        volume="v",
        project="p",
        user="u",
        urn=SNAPSHOT.urn,
        size_gib=2,
        labels=SNAPSHOT.labels,
        created=1,
        restore=lost,
    )
    assert peers.asked == [wanted]


@pytest.mark.parametrize("admission", [VOLUME, SNAPSHOT])
async def test_a_delete_is_the_request_that_was_taken_and_by_force_a_new_one_each_time(
    peers: Peers, admission: VolumeAdmission
) -> None:
    doomed = replace(admission, delete_urn="urn:d")
    for one in (doomed, doomed, *(replace(doomed, delete_forced=True),) * 2):
        await effects.remove(peers.means, one, a_place(3))
    urns = [asked.urn for asked in peers.asked]
    assert urns[:2] == ["urn:d", "urn:d"] and len(set(urns)) == 3
    for asked, forced in zip(peers.asked, (False, False, True, True), strict=True):
        if admission.snapshot_of:
            assert asked == RemoveSnapshot(snapshot="n", volume="v", project="p", urn=asked.urn)
        else:
            assert asked == RemoveVolume(volume="v", project="p", number=3, urn=asked.urn, force=forced)


async def test_a_stray_is_removed_by_force(peers: Peers) -> None:
    for _ in range(2):
        await effects.remove_stray(peers.means, "v", Stray(place=a_place(3), project="p"))
    assert peers.asked[0] == RemoveVolume(volume="v", project="p", number=3, urn=peers.asked[0].urn, force=True)
    assert peers.asked[0].urn != peers.asked[1].urn


async def test_it_is_asked_to_grow_by_its_request(peers: Peers) -> None:
    await effects.grow(peers.means, replace(VOLUME, grows_to_gib=5, grow_urn="urn:g"), a_place())
    assert peers.asked == [GrowVolume(volume="v", size_gib=5, urn="urn:g")]


async def test_a_pool_beyond_the_centre_is_asked_by_its_clusters_name(peers: Peers) -> None:
    peers.means = with_changes(peers.means, centre="core")
    await peers.serve(subjects.ask_pool("s1", "c"), PoolQuestion, Done(store="far", position=Position(epoch="e")))
    await effects.make(peers.means, VOLUME, a_place(), None)
    await effects.make(peers.means, VOLUME, replace(a_place(), cluster="core"), None)
    assert len(peers.asked) == 2


async def test_a_pool_that_is_not_there_says_so() -> None:
    with pytest.raises(NoAnswer):
        await effects.make(means_of(), VOLUME, a_place(), None)
    with pytest.raises(NoAnswer):
        await effects.choose_pool(means_of(), VOLUME)


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (BadRequest("x"), True),
        (Conflict("x"), True),
        (NotFound("x"), True),
        (NoRoom("x"), True),
        (Broken("x"), True),
        (Unavailable("x"), False),
        (NoAnswer("x"), False),
        (Busy("x"), False),
        (StoreFailed("x"), False),
    ],
)
def test_whose_word_is_the_last(error: FreeholdError, final: bool) -> None:
    assert effects.is_final(error) is final
