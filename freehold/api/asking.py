"""Writes: a question to the owner, and then the wait until our own view shows what was written."""

from typing import Final

from freehold.api.call import Call
from freehold.bus import subjects, talk
from freehold.vocabulary import codec
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.image import CreateImage, Image, ImageQuestion, UpdateImage
from freehold.vocabulary.network import NetworkQuestion
from freehold.vocabulary.request import ChangePassword, DropTenant, Revoke, SaveTenant, TenantRecord
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import IDENTITY_SHARD
from freehold.vocabulary.tenant import Quota, ServerGroup

DEADLINE_S: Final = 10.0


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


async def images(call: Call, question: ImageQuestion) -> Done:
    """Asks for a change of an image: its owner, or any image worker for a new one."""
    return await _ask(call, image_subject(call, question), question)


def image_subject(call: Call, question: ImageQuestion) -> str:
    """Where a question about an image is answered. Raises NotFound if the view doesn't have the image."""
    if isinstance(question, CreateImage):
        return subjects.ASK_IMAGE
    image = question.image.id if isinstance(question, UpdateImage) else question.id
    owner = call.cloud.view.owner(Image, image)
    if not owner:
        raise NotFound(f"Image {image} could not be found.")
    return subjects.ask_image(owner)


async def networks(call: Call, question: NetworkQuestion, cluster: str = "") -> Done:
    """Asks a cluster's network worker for a change; the cloud's default cluster unless one is named."""
    return await _ask(call, subjects.ask_network(cluster or call.cloud.cluster), question)


async def _ask(
    call: Call,
    subject: str,
    question: SaveTenant | DropTenant | ChangePassword | Revoke | ImageQuestion | NetworkQuestion,
) -> Done:
    done = await talk.ask(call.cloud.bus, subject, question, Done, DEADLINE_S)
    await call.cloud.view.seen(done)
    return done
