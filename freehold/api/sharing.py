"""Whose an image is to see and to boot: its project's, everybody's, or that of the projects which it is shared with."""

from freehold.api.call import Call
from freehold.api.reading import every, find
from freehold.vocabulary.image import Image, ImageMember, MemberStatus, Visibility, member_key

OPEN = (Visibility.PUBLIC, Visibility.COMMUNITY)


async def sees(call: Call, image: Image) -> bool:
    """Whether an image is the caller's to see and to boot, by its id."""
    if call.caller.owns(image.project) or image.visibility in OPEN:
        return True
    if image.visibility is not Visibility.SHARED:
        return False
    return await find(call, ImageMember, member_key(image.id, call.caller.project)) is not None


async def memberships(call: Call) -> dict[str, MemberStatus]:
    """What the caller's project says of the images that are shared with it, by image."""
    return {member.image: member.status for member in await every(call, ImageMember, call.caller.project)}
