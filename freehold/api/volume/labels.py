"""What people note of volumes and snapshots: said to the pool that has them, and seen when it is answered."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.reading import find
from freehold.api.volume.joined import Joined, held
from freehold.api.volume.wire.labels import MetaBody, MetadataBody
from freehold.api.volume.wire.volumes import UpdateIn
from freehold.vocabulary.errors import BadRequest, NotFound, QuotaExceeded
from freehold.vocabulary.tenant import Quota
from freehold.vocabulary.volume import LabelSnapshot, LabelVolume, Volume, VolumeLabels

_NOT_THERE: Final = "Metadata item was not found"


async def relabel(
    call: Call,
    item: Joined,
    labels: VolumeLabels,
    *,
    bootable: bool | None = None,
    image: dict[str, str] | None = None,
) -> None:
    """Has its owner replace the labels of a volume or a snapshot; of a volume also whether it can be booted, and what
    is noted of its image, where that is given. Raises Conflict while no pool has it.
    """
    record = held(item)
    question: LabelVolume | LabelSnapshot
    if isinstance(record, Volume):
        boots = record.spec.bootable if bootable is None else bootable
        question = LabelVolume(volume=record.id, labels=labels, bootable=boots, image=image)
    else:
        question = LabelSnapshot(snapshot=record.id, labels=labels)
    await asking.volume_owner(call, question, record.store, record.cluster)


async def updated(call: Call, given: UpdateIn, labels: VolumeLabels, project: str) -> VolumeLabels:
    """The labels with what was given. Raises BadRequest if nothing was, QuotaExceeded for too much metadata."""
    name = given.display_name if given.name is UNSET else given.name
    description = given.display_description if given.description is UNSET else given.description
    if name is UNSET and description is UNSET and given.metadata is UNSET:
        raise BadRequest("Invalid input: say at least one of name, description and metadata.")
    if name is not UNSET:
        labels = replace(labels, name=(name or "").strip())
    if description is not UNSET:
        labels = replace(labels, description=description or "")
    if given.metadata is not UNSET:
        labels = replace(labels, metadata=given.metadata or {})
        await check_metadata(call, labels.metadata, project)
    return labels


async def check_metadata(call: Call, metadata: Mapping[str, str], project: str) -> None:
    """Raises QuotaExceeded if it is more than a project may note of one thing."""
    quota = await find(call, Quota, project) or Quota(project=project)
    if 0 <= quota.metadata_items < len(metadata):
        raise QuotaExceeded(f"Maximum number of metadata items exceeds {quota.metadata_items}")


class Metadata:
    """The metadata of one kind of things, of which `of` finds the one that a path names."""

    def __init__(self, of: Callable[[Call], Awaitable[Joined]]) -> None:
        self._of = of

    async def index(self, call: Call) -> Answer:
        """GET metadata."""
        return Answer(body={"metadata": (await self._of(call)).labels.metadata})

    async def merge(self, call: Call) -> Answer:
        """POST metadata: adds to what is there."""
        given, item = call.read(MetadataBody).metadata, await self._of(call)
        return Answer(body={"metadata": await self._save(call, item, item.labels.metadata | given)})

    async def put(self, call: Call) -> Answer:
        """PUT metadata: replaces what is there."""
        given = call.read(MetadataBody).metadata
        return Answer(body={"metadata": await self._save(call, await self._of(call), given)})

    async def show(self, call: Call) -> Answer:
        """GET metadata/{key}."""
        key, metadata = call.params["key"], (await self._of(call)).labels.metadata
        if key not in metadata:
            raise NotFound(_NOT_THERE)
        return Answer(body={"meta": {key: metadata[key]}})

    async def put_item(self, call: Call) -> Answer:
        """PUT metadata/{key}."""
        given, key = call.read(MetaBody).meta, call.params["key"]
        if list(given) != [key]:
            raise BadRequest("Request body and URI mismatch")
        item = await self._of(call)
        await self._save(call, item, item.labels.metadata | given)
        return Answer(body={"meta": given})

    async def delete(self, call: Call) -> Answer:
        """DELETE metadata/{key}."""
        key, item = call.params["key"], await self._of(call)
        if key not in item.labels.metadata:
            raise NotFound(_NOT_THERE)
        await self._save(call, item, {name: value for name, value in item.labels.metadata.items() if name != key})
        return Answer(200)

    async def _save(self, call: Call, item: Joined, metadata: dict[str, str]) -> dict[str, str]:
        await check_metadata(call, metadata, item.admission.project)
        await relabel(call, item, replace(item.labels, metadata=metadata))
        return metadata
