"""What the registrar asks of others for a volume or a snapshot: a pool, its image, and its owner for what is to be."""

from typing import Final

from freehold.bus import subjects, talk
from freehold.runtime.chance import new_urn
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.image import ImageOffer, OfferImage
from freehold.vocabulary.volume import GrowVolume, MakeVolume, RemoveSnapshot, RemoveVolume, SourceKind, TakeSnapshot
from freehold.vocabulary.volume_request import ChoosePool, ChosenPool, VolumeAdmission, VolumePlace
from freehold.workers.base import Means
from freehold.workers.registrar.volumes.lifecycle import Stray

ASK_OWNER_S: Final = 5.0


async def choose_pool(means: Means, admission: VolumeAdmission) -> ChosenPool:
    """A pool for it. Raises NoRoom if there is none, NoAnswer if no scheduler answers."""
    question = ChoosePool(
        size_gib=admission.spec.size_gib,
        type_name=admission.spec.type_name,
        zone=admission.spec.zone,
        refused=admission.refused_pools,
    )
    return await talk.ask(means.bus, subjects.ASK_POOLS, question, ChosenPool)


async def offer_image(means: Means, admission: VolumeAdmission, owner: str) -> ImageOffer | None:
    """The image that it is to be a copy of, as it can be read for a short time. Raises NotFound, Conflict, NoAnswer."""
    source = admission.spec.source
    if source is None or source.kind is not SourceKind.IMAGE:
        return None
    question = OfferImage(id=source.id, project=admission.project)
    return await talk.ask(means.bus, subjects.ask_image_offer(owner), question, ImageOffer)


async def make(means: Means, admission: VolumeAdmission, place: VolumePlace, offer: ImageOffer | None) -> None:
    """Asks its owner for it. Raises NoAnswer."""
    question: MakeVolume | TakeSnapshot
    if admission.snapshot_of:
        question = TakeSnapshot(
            snapshot=admission.id,
            volume=admission.snapshot_of,
            project=admission.project,
            user=admission.user,
            urn=admission.urn,
            size_gib=admission.spec.size_gib,
            labels=admission.labels,
            created=admission.created,
            restore=admission.lost,
        )
    else:
        question = MakeVolume(
            volume=admission.id,
            project=admission.project,
            user=admission.user,
            store=place.store,
            number=place.number,
            urn=admission.urn,
            spec=admission.spec,
            labels=admission.labels,
            created=admission.created,
            offer=offer,
            restore=admission.lost,
        )
    await _ask(means, place, question)


async def remove(means: Means, admission: VolumeAdmission, place: VolumePlace) -> None:
    """Asks its owner to let it go. Raises Conflict, NoAnswer. One that nobody has asked for, but that must go, is asked
    for anew each time: what is refused stays so.
    """
    urn = new_urn(means.chance) if admission.delete_forced else admission.delete_urn
    question: RemoveVolume | RemoveSnapshot
    if admission.snapshot_of:
        question = RemoveSnapshot(
            snapshot=admission.id,
            volume=admission.snapshot_of,
            project=admission.project,
            urn=urn,
        )
    else:
        question = RemoveVolume(
            volume=admission.id,
            project=admission.project,
            number=place.number,
            urn=urn,
            force=admission.delete_forced,
        )
    await _ask(means, place, question)


async def remove_stray(means: Means, identifier: str, stray: Stray) -> None:
    """Asks a pool to let go of a volume or a snapshot that it isn't to have. Raises Conflict, NoAnswer."""
    of, project, number, urn = stray.snapshot_of, stray.project, stray.place.number, new_urn(means.chance)
    question: RemoveVolume | RemoveSnapshot
    if of:
        question = RemoveSnapshot(snapshot=identifier, volume=of, project=project, urn=urn)
    else:
        question = RemoveVolume(volume=identifier, project=project, number=number, urn=urn, force=True)
    await _ask(means, stray.place, question)


async def grow(means: Means, admission: VolumeAdmission, place: VolumePlace) -> None:
    """Asks its owner to make it larger. Raises what it refuses that for, NoAnswer."""
    question = GrowVolume(volume=admission.id, size_gib=admission.grows_to_gib, urn=admission.grow_urn)
    await _ask(means, place, question)


async def _ask(
    means: Means,
    place: VolumePlace,
    question: MakeVolume | TakeSnapshot | RemoveVolume | RemoveSnapshot | GrowVolume,
) -> None:
    subject = subjects.ask_pool(place.store, means.beyond(place.cluster))
    await talk.ask(means.bus, subject, question, Done, ASK_OWNER_S)


def is_final(error: FreeholdError) -> bool:
    """Whether an owner's word is its last: it was heard, and refused."""
    return error.fault().code not in ("Unavailable", "NoAnswer", "Busy", "StoreFailed")
