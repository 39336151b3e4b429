"""Metadata of a server: names and values of its owner's."""

from typing import Final

from msgspec.structs import replace

from freehold.api.call import Answer, Call
from freehold.api.compute.server_view import Server
from freehold.api.compute.servers import relabel, server_of
from freehold.api.compute.wire.servers import MetaBody, MetadataBody
from freehold.api.reading import find
from freehold.vocabulary.errors import BadRequest, NotFound, QuotaExceeded
from freehold.vocabulary.tenant import Quota

_NOT_THERE: Final = "Metadata item was not found"


async def index(call: Call) -> Answer:
    """GET /servers/{id}/metadata."""
    return Answer(body={"metadata": (await server_of(call)).labels.metadata})


async def merge(call: Call) -> Answer:
    """POST /servers/{id}/metadata: adds to what is there."""
    given = call.read(MetadataBody).metadata
    server = await server_of(call)
    return Answer(body={"metadata": await _save(call, server, server.labels.metadata | given)})


async def put(call: Call) -> Answer:
    """PUT /servers/{id}/metadata: replaces what is there."""
    given = call.read(MetadataBody).metadata
    return Answer(body={"metadata": await _save(call, await server_of(call), given)})


async def show(call: Call) -> Answer:
    """GET /servers/{id}/metadata/{key}."""
    key, metadata = call.params["key"], (await server_of(call)).labels.metadata
    if key not in metadata:
        raise NotFound(_NOT_THERE)
    return Answer(body={"meta": {key: metadata[key]}})


async def put_item(call: Call) -> Answer:
    """PUT /servers/{id}/metadata/{key}."""
    given, key = call.read(MetaBody).meta, call.params["key"]
    if len(given) > 1:
        raise BadRequest("Request body contains too many items")
    if list(given) != [key]:
        raise BadRequest("Request body and URI mismatch")
    server = await server_of(call)
    await _save(call, server, server.labels.metadata | given)
    return Answer(body={"meta": given})


async def delete(call: Call) -> Answer:
    """DELETE /servers/{id}/metadata/{key}."""
    key, server = call.params["key"], await server_of(call)
    if key not in server.labels.metadata:
        raise NotFound(_NOT_THERE)
    await _save(call, server, {name: value for name, value in server.labels.metadata.items() if name != key})
    return Answer(204)


async def _save(call: Call, server: Server, metadata: dict[str, str]) -> dict[str, str]:
    project = server.admission.project
    quota = await find(call, Quota, project) or Quota(project=project)
    if 0 <= quota.metadata_items < len(metadata):
        raise QuotaExceeded(f"Maximum number of metadata items exceeds {quota.metadata_items}")
    await relabel(call, server, replace(server.labels, metadata=metadata))
    return metadata
