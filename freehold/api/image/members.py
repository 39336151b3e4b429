"""The projects that an image is shared with. Its owner says which; each says whether it takes it into its lists."""

from typing import Any

from msgspec import UNSET, UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Body, Call
from freehold.api.image.images import owned, visible
from freehold.api.reading import find, keyed, not_found
from freehold.api.wire import Identifier
from freehold.vocabulary.errors import BadRequest, Forbidden, NotFound
from freehold.vocabulary.image import DropMember, Image, ImageMember, MemberStatus, SaveMember, member_key
from freehold.vocabulary.units import iso_seconds


class MemberBody(Body, frozen=True, kw_only=True):
    """POST /v2/images/{image_id}/members."""

    member: Identifier


class StatusBody(Body, frozen=True, kw_only=True):
    """PUT /v2/images/{image_id}/members/{member_id}. openstacksdk says once more whose status it is."""

    status: MemberStatus
    member: Identifier | UnsetType = UNSET


def shown(member: ImageMember) -> dict[str, Any]:
    """A member as Glance shows it."""
    return {
        "image_id": member.image,
        "member_id": member.project,
        "status": member.status.value,
        "created_at": iso_seconds(member.created),
        "updated_at": iso_seconds(member.updated),
        "schema": "/v2/schemas/member",
    }


async def index(call: Call) -> Answer:
    """GET /v2/images/{image_id}/members: all, for the image's owner; a member sees itself."""
    image = await visible(call)
    found = await keyed(call, ImageMember, f"{image.id}/")
    seen = [shown(member) for member in found if _sees(call, image, member.project)]
    return Answer(body={"members": seen, "schema": "/v2/schemas/members"})


async def show(call: Call) -> Answer:
    """GET /v2/images/{image_id}/members/{member_id}."""
    image = await visible(call)
    return Answer(body=shown(await _member(call, image)))


async def create(call: Call) -> Answer:
    """POST /v2/images/{image_id}/members."""
    image, given = await owned(call), call.read(MemberBody)
    await asking.images(call, SaveMember(member=ImageMember(image=image.id, project=given.member), new=True))
    return await _answer(call, image, given.member)


async def update(call: Call) -> Answer:
    """PUT /v2/images/{image_id}/members/{member_id}: what the project says of the image, by itself alone."""
    image, given = await visible(call), call.read(StatusBody)
    member = await _member(call, image)
    if given.member not in (UNSET, member.project):
        raise BadRequest("The member in the body isn't the one in the URL.")
    if not call.caller.owns(member.project):
        raise Forbidden("Only the project that an image is shared with says whether it accepts it.")
    changed = ImageMember(image=image.id, project=member.project, status=given.status)
    await asking.images(call, SaveMember(member=changed))
    return await _answer(call, image, member.project)


async def delete(call: Call) -> Answer:
    """DELETE /v2/images/{image_id}/members/{member_id}."""
    image = await owned(call)
    member = await _member(call, image)
    await asking.images(call, DropMember(image=image.id, project=member.project))
    return Answer(204)


def _sees(call: Call, image: Image, project: str) -> bool:
    return call.caller.owns(image.project) or call.caller.owns(project)


async def _member(call: Call, image: Image) -> ImageMember:
    """The member that the path names. Raises NotFound also for what isn't the caller's to see."""
    project = call.params["member_id"]
    member = await find(call, ImageMember, member_key(image.id, project)) if _sees(call, image, project) else None
    if member is None:
        raise NotFound(not_found("Member", project))
    return member


async def _answer(call: Call, image: Image, project: str) -> Answer:
    member = await find(call, ImageMember, member_key(image.id, project))
    if member is None:
        raise NotFound(not_found("Member", project))  # it was dropped in the meantime
    return Answer(body=shown(member))
