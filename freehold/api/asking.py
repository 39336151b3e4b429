"""Writes: a question to the owner, and then the wait until our own view shows what was written."""

from hashlib import blake2b
from typing import Final, TypeVar

from freehold.api.call import Call
from freehold.bus import subjects, talk
from freehold.vocabulary import codec
from freehold.vocabulary.attachment import Attached, AttachVolume, DetachVolume
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.image import (
    BeginDownload,
    BeginUpload,
    CreateImage,
    DeleteImage,
    DropMember,
    Image,
    ImageQuestion,
    SaveMember,
    UpdateImage,
)
from freehold.vocabulary.network import NetworkQuestion
from freehold.vocabulary.notification import NotifierQuestion
from freehold.vocabulary.request import ChangePassword, DropTenant, SaveTenant, TenantRecord
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import IDENTITY_SHARD
from freehold.vocabulary.tenant import Quota, ServerGroup
from freehold.vocabulary.token import Revoke
from freehold.vocabulary.volume import VolumeLabelling
from freehold.vocabulary.volume_request import AdmitVolume, DeleteVolume, ExtendVolume, VolumeAdmitted

A = TypeVar("A")

DEADLINE_S: Final = 10.0

OfImage = UpdateImage | DeleteImage | SaveMember | DropMember
"""Changes of an image that is there."""


async def registrar(
    call: Call, question: SaveTenant | DropTenant | ChangePassword | Revoke, shard: int = IDENTITY_SHARD
) -> Done:
    """Asks a shard of the registrar for a change. Raises what it refuses with, or Unavailable."""
    return await _ask(call, subjects.ask_shard(shard), question)


async def save(call: Call, key: str, record: TenantRecord, *, new: bool, secret: Secret | None = None) -> Done:
    """Has the registrar make or replace a record that belongs to no host."""
    question = SaveTenant(kind=codec.kind_of(record), key=key, record=codec.encode(record), new=new, secret=secret)
    return await registrar(call, question, _shard(call, record))


async def drop(call: Call, key: str, record: TenantRecord) -> Done:
    """Has the registrar delete a record."""
    return await registrar(call, DropTenant(kind=codec.kind_of(record), key=key), _shard(call, record))


def _shard(call: Call, record: TenantRecord) -> int:
    """Quotas and server groups are kept by their project's shard, all else that is saved by the identity shard."""
    return call.cloud.shards.of(record.project) if isinstance(record, Quota | ServerGroup) else IDENTITY_SHARD


async def new_image(call: Call, image: Image, *, id_chosen: bool) -> Done:
    """Has an image worker make a record: any of them. But an id that the client has chosen goes to the same one each
    time, which refuses it the second time.
    """
    workers = [seen.owner.store for seen in call.cloud.view.owners() if seen.owner.role == "image"]
    subject = subjects.ASK_IMAGE
    if id_chosen and workers:
        subject = subjects.ask_image(min(workers, key=lambda store: blake2b(f"{store}/{image.id}".encode()).digest()))
    return await _ask(call, subject, CreateImage(image=image))


async def images(call: Call, question: OfImage) -> Done:
    """Asks an image's owner for a change."""
    return await _ask(call, image_subject(call, question), question)


def image_subject(call: Call, question: OfImage | BeginUpload | BeginDownload) -> str:
    """Where a question about an image is answered. Raises NotFound if the view doesn't have the image."""
    match question:
        case UpdateImage():
            image = question.image.id
        case SaveMember():
            image = question.member.image
        case DropMember():
            image = question.image
        case _:
            image = question.id
    owner = call.cloud.view.owner(Image, image)
    if not owner:
        raise NotFound(f"Image {image} could not be found.")
    return subjects.ask_image(owner)


async def networks(call: Call, question: NetworkQuestion, cluster: str = "") -> Done:
    """Asks a cluster's network worker for a change; the cloud's default cluster unless one is named."""
    cluster = cluster or call.cloud.cluster
    return await _ask(call, subjects.ask_network(cluster, call.cloud.beyond(cluster)), question)


async def every_network(call: Call, question: NetworkQuestion) -> None:
    """Asks the network workers of all clusters for a change, one after the other. Raises what one refuses with, or
    Unavailable: those before it have done it then, and do it again if they are asked again. NotFound if none has it.
    """
    heard = {seen.owner.cluster for seen in call.cloud.view.owners() if seen.owner.role == "network"}
    clusters = sorted(heard | {call.cloud.cluster})
    absent = list[NotFound]()
    for cluster in clusters:
        try:
            await networks(call, question, cluster)
        except NotFound as error:
            absent.append(error)
    if len(absent) == len(clusters):
        raise absent[0]


async def new_volume(call: Call, question: AdmitVolume) -> VolumeAdmitted:
    """Has the registrar admit a volume or a snapshot. Raises what it refuses with, or Unavailable."""
    subject = subjects.ask_registrar(question.project, call.cloud.shards)
    admitted = await talk.ask(call.cloud.bus, subject, question, VolumeAdmitted, DEADLINE_S)
    await call.cloud.view.seen(Done(store=admitted.store, position=admitted.position, key=admitted.id))
    return admitted


async def volume(call: Call, question: DeleteVolume | ExtendVolume, project: str) -> Done:
    """Asks the registrar's shard of a volume's project for its end, or for more room in it."""
    return await _ask(call, subjects.ask_registrar(project, call.cloud.shards), question)


async def volume_owner(call: Call, question: VolumeLabelling, store: str, cluster: str) -> Done:
    """Asks the volume worker that has a volume or a snapshot for a change of what is noted of it."""
    return await _ask(call, subjects.ask_volume(store, call.cloud.beyond(cluster)), question)


async def attachment(call: Call, question: AttachVolume | DetachVolume, store: str, cluster: str) -> None:
    """Asks the volume worker that has a volume to give it to a guest, or to take it, and waits until the view shows
    what was written of that, at the guest's host too.
    """
    subject = subjects.ask_volume(store, call.cloud.beyond(cluster))
    said = await talk.ask(call.cloud.bus, subject, question, Attached, DEADLINE_S)
    await call.cloud.view.seen(said.done)
    if said.host is not None:
        await call.cloud.view.seen(said.host)


async def notifier(call: Call, question: NotifierQuestion, answer: type[A], deadline_s: float = DEADLINE_S) -> A:
    """Asks the notifier, and waits until the view shows what was written."""
    said = await talk.ask(call.cloud.bus, subjects.ASK_NOTIFIER, question, answer, deadline_s)
    done = said if isinstance(said, Done) else getattr(said, "done", None)
    if done is not None:
        await call.cloud.view.seen(done)
    return said


async def _ask(
    call: Call,
    subject: str,
    question: SaveTenant
    | DropTenant
    | ChangePassword
    | Revoke
    | ImageQuestion
    | NetworkQuestion
    | DeleteVolume
    | ExtendVolume
    | VolumeLabelling,
) -> Done:
    done = await talk.ask(call.cloud.bus, subject, question, Done, DEADLINE_S)
    await call.cloud.view.seen(done)
    return done
