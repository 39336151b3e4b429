"""Records of images."""

from typing import Any

import msgspec

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.caller import SYSTEM_PROJECT
from freehold.api.faults import HttpRefusal
from freehold.api.image import patch
from freehold.api.image.fields import TAGS_MAX, applied, changeable, shown
from freehold.api.reading import find, not_found, one
from freehold.api.sharing import sees
from freehold.api.wire import Name
from freehold.runtime.chance import new_id
from freehold.vocabulary.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge
from freehold.vocabulary.image import DeleteImage, Image, ImageStatus, UpdateImage, Visibility


async def visible(call: Call) -> Image:
    """The image that the path names. Raises NotFound also for what isn't the caller's to see."""
    identifier = call.params["image_id"]
    image = await one(call, Image, identifier, "Image")
    if not await sees(call, image):
        raise NotFound(not_found("Image", identifier))
    return image


async def owned(call: Call) -> Image:
    """The image that the path names, for a change. Raises Forbidden for one that is only to be seen."""
    image = await visible(call)
    if not call.caller.owns(image.project):
        raise Forbidden(f"You are not permitted to change image {image.id}: it belongs to another project.")
    return image


async def show(call: Call) -> Answer:
    """GET /v2/images/{image_id}."""
    return Answer(body=shown(await visible(call)))


async def create(call: Call) -> Answer:
    """POST /v2/images: a record without bytes."""
    document = call.read(dict[str, Any])
    now = call.cloud.clock.now()
    id_chosen = bool(document.get("id"))
    identifier = document["id"] if id_chosen else new_id(call.cloud.chance)
    blank = Image(id="", name="", project=call.caller.project, created=now, updated=now)
    image = msgspec.structs.replace(applied(blank, document), id=identifier)
    if image.project == SYSTEM_PROJECT:
        raise BadRequest("Say with 'owner' which project the image is for.")
    _check_allowed(call, blank, image)
    if id_chosen and await find(call, Image, identifier) is not None:
        raise Conflict(f"Image {identifier} exists already; choose another id")
    await asking.new_image(call, image, id_chosen=id_chosen)
    return Answer(201, shown(image), {"location": f"{call.base_url}/v2/images/{image.id}"})


def _check_allowed(call: Call, before: Image, after: Image) -> None:
    """Raises Forbidden for what only an admin may do."""
    if call.caller.is_admin:
        return
    if after.visibility is Visibility.PUBLIC and before.visibility is not Visibility.PUBLIC:
        raise Forbidden("You are not authorized to publicize an image.")
    if after.project != before.project:
        raise Forbidden("Only an admin may make an image for another project.")


async def update(call: Call) -> Answer:
    """PATCH /v2/images/{image_id}."""
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in patch.MEDIA_TYPES:
        raise HttpRefusal(415, f"A change of an image is a JSON patch with Content-Type {patch.MEDIA_TYPES[0]}.")
    operations = patch.decode(call.body)
    before = await owned(call)
    after = applied(before, patch.apply(changeable(before), operations))
    formats = (after.disk_format, after.container_format) != (before.disk_format, before.container_format)
    if formats and before.status is not ImageStatus.QUEUED:
        raise Forbidden("Formats of an image can be changed only before its bytes are uploaded.")
    if after.project != before.project:
        raise Forbidden("An image stays with the project that made it.")
    _check_allowed(call, before, after)
    return await _save(call, after)


async def _save(call: Call, image: Image, status: int = 200) -> Answer:
    image = msgspec.structs.replace(image, updated=call.cloud.clock.now())
    await asking.images(call, UpdateImage(image=image))
    current = call.cloud.view.get(Image, image.id) or image
    return Answer(status, shown(current) if status == 200 else None)


async def delete(call: Call) -> Answer:
    """DELETE /v2/images/{image_id}."""
    image = await owned(call)
    if image.protected:
        raise Forbidden(f"Image {image.id} is protected and cannot be deleted.")
    await asking.images(call, DeleteImage(id=image.id))
    return Answer(204)


async def add_tag(call: Call) -> Answer:
    """PUT /v2/images/{image_id}/tags/{tag}."""
    try:
        tag = msgspec.convert(call.params["tag"], Name)
    except msgspec.ValidationError as error:
        raise BadRequest(f"That can't be a tag: {error}") from error
    image = await owned(call)
    if tag not in image.tags and len(image.tags) >= TAGS_MAX:
        raise TooLarge(f"An image has at most {TAGS_MAX} tags.")
    tags = tuple(dict.fromkeys((*image.tags, tag)))
    return await _save(call, msgspec.structs.replace(image, tags=tags), 204)


async def drop_tag(call: Call) -> Answer:
    """DELETE /v2/images/{image_id}/tags/{tag}."""
    image, tag = await owned(call), call.params["tag"]
    if tag not in image.tags:
        raise NotFound(not_found("Tag", tag))
    tags = tuple(other for other in image.tags if other != tag)
    return await _save(call, msgspec.structs.replace(image, tags=tags), 204)


def check_active(image: Image) -> None:
    """Raises Conflict unless the image has its bytes."""
    if image.status is not ImageStatus.ACTIVE:
        raise Conflict(f"Image {image.id} is {image.status.value}: it has no bytes to give.")
