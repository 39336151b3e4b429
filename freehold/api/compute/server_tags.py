"""Tags of a server, from 2.26."""

import msgspec
from msgspec.structs import replace

from freehold.api.call import Answer, Call
from freehold.api.compute.server_create import TAGS_MAX
from freehold.api.compute.server_view import Server
from freehold.api.compute.servers import relabel, server_of
from freehold.api.compute.wire.servers import Tag, TagsBody
from freehold.vocabulary.errors import BadRequest, NotFound


async def index(call: Call) -> Answer:
    """GET /servers/{id}/tags."""
    return Answer(body={"tags": list((await server_of(call)).labels.tags)})


async def put(call: Call) -> Answer:
    """PUT /servers/{id}/tags: replaces them all."""
    given = call.read(TagsBody).tags
    tags = tuple(dict.fromkeys(given))
    await _save(call, await server_of(call), tags)
    return Answer(body={"tags": list(tags)})


async def clear(call: Call) -> Answer:
    """DELETE /servers/{id}/tags."""
    await _save(call, await server_of(call), ())
    return Answer(204)


async def show(call: Call) -> Answer:
    """GET /servers/{id}/tags/{tag}: 204 if the server has it."""
    await _tagged(call)
    return Answer(204)


async def add(call: Call) -> Answer:
    """PUT /servers/{id}/tags/{tag}: 201, or 204 if the server had it."""
    tag, server = _tag(call), await server_of(call)
    if tag in server.labels.tags:
        return Answer(204)
    await _save(call, server, (*server.labels.tags, tag))
    return Answer(201, headers={"location": f"{call.base_url}{call.path}"})


async def delete(call: Call) -> Answer:
    """DELETE /servers/{id}/tags/{tag}."""
    server = await _tagged(call)
    await _save(call, server, tuple(tag for tag in server.labels.tags if tag != call.params["tag"]))
    return Answer(204)


def _tag(call: Call) -> str:
    try:
        return msgspec.convert(call.params["tag"], type=Tag)
    except msgspec.ValidationError as error:
        raise BadRequest("a tag has 1 to 60 characters, without commas, slashes and control characters") from error


async def _tagged(call: Call) -> Server:
    tag, server = call.params["tag"], await server_of(call)
    if tag not in server.labels.tags:
        raise NotFound(f"Server {server.admission.guest} has no tag '{tag[:64]}'")
    return server


async def _save(call: Call, server: Server, tags: tuple[str, ...]) -> None:
    if len(tags) > TAGS_MAX:
        raise BadRequest(f"The number of tags exceeded the per-server limit {TAGS_MAX}")
    await relabel(call, server, replace(server.labels, tags=tags))
