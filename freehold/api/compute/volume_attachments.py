"""Volumes of a server: none, as this cloud doesn't serve volumes yet."""

from freehold.api.call import Answer, Call
from freehold.api.compute.servers import server_of
from freehold.vocabulary.errors import BadRequest, NotFound


async def index(call: Call) -> Answer:
    """GET /servers/{id}/os-volume_attachments."""
    await server_of(call)
    return Answer(body={"volumeAttachments": []})


async def show(call: Call) -> Answer:
    """GET, PUT and DELETE /servers/{id}/os-volume_attachments/{volume_id}."""
    server = await server_of(call)
    volume = call.params["volume_id"][:64]
    raise NotFound(f"Instance {server.admission.guest} is not attached to volume {volume}")


async def create(call: Call) -> Answer:
    """POST /servers/{id}/os-volume_attachments."""
    await server_of(call)
    raise BadRequest("volumes aren't served by this cloud yet")
