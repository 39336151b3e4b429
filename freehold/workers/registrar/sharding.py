"""Which shard of the registrar keeps what, and that a store stays the shard it was made as."""

from typing import Final

from freehold.store.database import Store, keep_private
from freehold.vocabulary.codec import KINDS, decode, encode
from freehold.vocabulary.errors import BadRequest, Broken
from freehold.vocabulary.fence import Evacuate, FenceHost, UnfenceHost
from freehold.vocabulary.host import RetireHost
from freehold.vocabulary.request import (
    Admit,
    ChangePassword,
    CloseProject,
    DeedsOf,
    DeleteGuest,
    DropTenant,
    GiveUp,
    Intents,
    LedgerNotice,
    Lost,
    RecordDeed,
    RegistrarQuestion,
    SaveTenant,
)
from freehold.vocabulary.shards import IDENTITY_SHARD, Shards
from freehold.vocabulary.tenant import Quota, ServerGroup
from freehold.vocabulary.token import Revoke, SignIn, SignInAgain, SignInByCredential
from freehold.vocabulary.volume_request import AdmitVolume, DeleteVolume, ExtendVolume
from freehold.workers.base import Means

KINDS_OF_PROJECTS: Final = frozenset({"quota", "server_group"})
"""Of what is saved and dropped, that which a project's own shard keeps."""


async def take_place(means: Means, store: Store) -> None:
    """Writes which shard a new store is, of how many. Raises BadRequest if an older one is another, or of another
    number: projects would be looked for where they aren't.
    """
    count, shard = means.shards.count, store.owner.shard
    kept = store.read_private("place", "shard")
    if kept is not None:
        was = decode(kept, tuple[int, int])
    else:
        was = (shard, count) if store.position().seq == 0 else (IDENTITY_SHARD, 1)
    if was != (shard, count):
        raise BadRequest(
            f"this registrar's store is shard {was[0]} of {was[1]}, and it is started as shard {shard} of {count}; "
            "the number of shards is chosen when a cloud is made, and can't be changed"
        )
    if kept is None:
        await store.commit([keep_private("place", "shard", encode(was))], "bootstrap")


def check_mine(means: Means, store: Store, question: RegistrarQuestion | LedgerNotice) -> None:
    """Raises Broken for a question that another shard must answer: asker and registrar don't count shards alike."""
    shard = _shard_of(means.shards, question)
    if shard not in (None, store.owner.shard):
        raise Broken(
            f"{type(question).__name__} is for registrar shard {shard} and came to shard {store.owner.shard}; "
            "every process must be started with the same number of shards"
        )


def _shard_of(shards: Shards, question: RegistrarQuestion | LedgerNotice) -> int | None:
    """The shard that a question is for; None if it names guests only, which their own shard alone knows."""
    match question:
        case Admit(builds=builds):
            return shards.of(builds[0].project) if builds else None
        case RecordDeed(deed=deed):
            return shards.of(deed.project)
        case AdmitVolume(project=project):
            return shards.of(project)
        case CloseProject(project=project):
            return shards.of(project)
        case SaveTenant(kind=kind, record=record) if kind in KINDS_OF_PROJECTS:
            saved = decode(record, KINDS[kind])
            assert isinstance(saved, Quota | ServerGroup)
            return shards.of(saved.project)
        case DropTenant(kind="quota", key=project):
            return shards.of(project)
        case GiveUp() | DeleteGuest() | Intents() | DeedsOf() | Lost() | DropTenant(kind="server_group"):
            return None
        case RetireHost() | FenceHost() | UnfenceHost() | Evacuate() | DeleteVolume() | ExtendVolume():
            return None
        case SignIn() | SignInByCredential() | SignInAgain() | Revoke() | ChangePassword():
            return IDENTITY_SHARD
        case SaveTenant() | DropTenant():
            return IDENTITY_SHARD
