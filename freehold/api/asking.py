"""Writes: a question to the owner, and then the wait until our own view shows what was written."""

from typing import Final

from freehold.api.call import Call
from freehold.bus import subjects, talk
from freehold.vocabulary import codec
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.image import ImageQuestion
from freehold.vocabulary.network import NetworkQuestion
from freehold.vocabulary.request import ChangePassword, DropTenant, Revoke, SaveTenant, TenantRecord
from freehold.vocabulary.secret import Secret

DEADLINE_S: Final = 10.0


async def registrar(call: Call, question: SaveTenant | DropTenant | ChangePassword | Revoke) -> Done:
    """Asks the registrar for a change. Raises what it refuses with, or Unavailable."""
    return await _ask(call, subjects.ask_registrar(call.caller.project), question)


async def save(call: Call, key: str, record: TenantRecord, *, new: bool, secret: Secret | None = None) -> Done:
    """Has the registrar make or replace a record that belongs to no host."""
    question = SaveTenant(kind=codec.kind_of(record), key=key, record=codec.encode(record), new=new, secret=secret)
    return await registrar(call, question)


async def drop(call: Call, kind: str, key: str) -> Done:
    """Has the registrar delete a record."""
    return await registrar(call, DropTenant(kind=kind, key=key))


async def images(call: Call, question: ImageQuestion) -> Done:
    """Asks the image workers for a change."""
    return await _ask(call, subjects.ASK_IMAGE, question)


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
