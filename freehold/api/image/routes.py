"""Everything that passes the image door, mounted at ``/image``."""

from typing import Final

from freehold.api import faults
from freehold.api.call import Door, Route, Routes
from freehold.api.image import data, images, lists, members, schemas, versions

_IMAGE = "/v2/images/{image_id}"

ROUTES: Final[Routes] = {
    ("GET", "/"): Route(versions.index, "discover"),
    ("GET", "/versions"): Route(versions.versions, "discover"),
    ("GET", "/v2"): Route(versions.versions, "discover"),
    ("GET", "/v2/images"): Route(lists.index, "image:read"),
    ("POST", "/v2/images"): Route(images.create, "image:write"),
    ("GET", _IMAGE): Route(images.show, "image:read"),
    ("PATCH", _IMAGE): Route(images.update, "image:write"),
    ("DELETE", _IMAGE): Route(images.delete, "image:write"),
    ("PUT", f"{_IMAGE}/file"): Route(data.upload, "image:write", streams=True),
    ("GET", f"{_IMAGE}/file"): Route(data.download, "image:read", sends_bytes=True),
    ("PUT", f"{_IMAGE}/tags/{{tag}}"): Route(images.add_tag, "image:write"),
    ("DELETE", f"{_IMAGE}/tags/{{tag}}"): Route(images.drop_tag, "image:write"),
    ("GET", f"{_IMAGE}/members"): Route(members.index, "image:read"),
    ("POST", f"{_IMAGE}/members"): Route(members.create, "image:write"),
    ("GET", f"{_IMAGE}/members/{{member_id}}"): Route(members.show, "image:read"),
    ("PUT", f"{_IMAGE}/members/{{member_id}}"): Route(members.update, "image:write"),
    ("DELETE", f"{_IMAGE}/members/{{member_id}}"): Route(members.delete, "image:write"),
    ("GET", "/v2/schemas/image"): Route(schemas.image, "image:read"),
    ("GET", "/v2/schemas/images"): Route(schemas.images, "image:read"),
    ("GET", "/v2/schemas/member"): Route(schemas.member, "image:read"),
    ("GET", "/v2/schemas/members"): Route(schemas.members, "image:read"),
    ("GET", "/v2/info/import"): Route(versions.import_info, "image:read"),
    ("GET", "/v2/info/stores"): Route(versions.stores_info, "image:read"),
    ("GET", "/v2/tasks"): Route(versions.tasks, "image:read"),
}

DOOR: Final = Door("image", ROUTES, faults.glance)
