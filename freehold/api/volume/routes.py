"""Everything that passes the volume door, mounted at ``/volume``.

Each path stands behind ``/v3/{project_id}`` and, as clients may leave the project out since 3.67, behind ``/v3``.
"""

from dataclasses import replace
from typing import Final

from freehold.api import faults
from freehold.api.call import Answer, Call, Door, Route, Routes, Serve
from freehold.api.microversions import Version
from freehold.api.volume import (
    absent,
    attachments,
    extensions,
    limits,
    messages,
    microversion,
    pools,
    quotas,
    services,
    snapshot_list,
    snapshots,
    type_access,
    type_specs,
    types,
    versions,
    volume_actions,
    volume_create,
    volume_list,
    volumes,
)
from freehold.api.volume.joined import snapshot_of, volume_of
from freehold.api.volume.labels import Metadata
from freehold.api.volume.microversion import between, negotiated
from freehold.vocabulary.errors import BadRequest

_VOLUME: Final = "/volumes/{volume_id}"
_SNAPSHOT: Final = "/snapshots/{snapshot_id}"
_TYPE: Final = "/types/{type_id}"
_QUOTA: Final = "/os-quota-sets/{of_project}"

_DISCOVERY: Final[Routes] = {
    ("GET", "/"): Route(versions.index, "discover"),
    ("GET", "/v3"): Route(versions.show, "discover"),
}


def _metadata(of: str, its: Metadata) -> Routes:
    return {
        ("GET", f"{of}/metadata"): Route(its.index, "volume:read"),
        ("POST", f"{of}/metadata"): Route(its.merge, "volume:write"),
        ("PUT", f"{of}/metadata"): Route(its.put, "volume:write"),
        ("GET", f"{of}/metadata/{{key}}"): Route(its.show, "volume:read"),
        ("PUT", f"{of}/metadata/{{key}}"): Route(its.put_item, "volume:write"),
        ("DELETE", f"{of}/metadata/{{key}}"): Route(its.delete, "volume:write"),
    }


_VOLUMES: Final[Routes] = {
    ("GET", "/volumes"): Route(volume_list.index, "volume:read"),
    ("POST", "/volumes"): Route(volume_create.create, "volume:write"),
    ("GET", "/volumes/detail"): Route(volume_list.detail, "volume:read"),
    ("GET", _VOLUME): Route(volumes.show, "volume:read"),
    ("PUT", _VOLUME): Route(volumes.update, "volume:write"),
    ("DELETE", _VOLUME): Route(volumes.delete, "volume:write"),
    ("POST", f"{_VOLUME}/action"): Route(volume_actions.serve, "volume:write"),
    **_metadata(_VOLUME, Metadata(volume_of)),
    ("GET", "/snapshots"): Route(snapshot_list.index, "volume:read"),
    ("POST", "/snapshots"): Route(snapshots.create, "volume:write"),
    ("GET", "/snapshots/detail"): Route(snapshot_list.detail, "volume:read"),
    ("GET", _SNAPSHOT): Route(snapshots.show, "volume:read"),
    ("PUT", _SNAPSHOT): Route(snapshots.update, "volume:write"),
    ("DELETE", _SNAPSHOT): Route(snapshots.delete, "volume:write"),
    ("POST", f"{_SNAPSHOT}/action"): Route(snapshots.serve_action, "volume:write"),
    **_metadata(_SNAPSHOT, Metadata(snapshot_of)),
}

_OTHERS: Final[Routes] = {
    ("GET", "/types"): Route(types.index, "volume:read"),
    ("POST", "/types"): Route(types.create, "volume:admin"),
    ("GET", "/types/default"): Route(types.default, "volume:read"),
    ("GET", _TYPE): Route(types.show, "volume:read"),
    ("PUT", _TYPE): Route(types.update, "volume:admin"),
    ("DELETE", _TYPE): Route(types.delete, "volume:admin"),
    ("POST", f"{_TYPE}/action"): Route(type_access.act, "volume:admin"),
    ("GET", f"{_TYPE}/os-volume-type-access"): Route(type_access.index, "volume:admin"),
    ("GET", f"{_TYPE}/extra_specs"): Route(type_specs.index, "volume:read"),
    ("POST", f"{_TYPE}/extra_specs"): Route(type_specs.create, "volume:admin"),
    ("GET", f"{_TYPE}/extra_specs/{{key}}"): Route(type_specs.show, "volume:read"),
    ("PUT", f"{_TYPE}/extra_specs/{{key}}"): Route(type_specs.update, "volume:admin"),
    ("DELETE", f"{_TYPE}/extra_specs/{{key}}"): Route(type_specs.delete, "volume:admin"),
    ("GET", f"{_TYPE}/encryption"): Route(absent.no_encryption, "volume:admin"),
    ("POST", f"{_TYPE}/encryption"): Route(absent.refuse_encryption, "volume:admin"),
    ("GET", _QUOTA): Route(quotas.show, "volume:read"),
    ("PUT", _QUOTA): Route(quotas.update, "volume:admin"),
    ("DELETE", _QUOTA): Route(quotas.delete, "volume:admin"),
    ("GET", f"{_QUOTA}/defaults"): Route(quotas.defaults, "volume:read"),
    ("GET", "/limits"): Route(limits.show, "volume:read"),
    ("GET", "/os-availability-zone"): Route(services.zones, "volume:read"),
    ("GET", "/os-services"): Route(services.index, "volume:admin"),
    ("PUT", "/os-services/{verb}"): Route(services.update, "volume:admin"),
    ("GET", "/scheduler-stats/get_pools"): Route(pools.index, "volume:admin"),
    ("GET", "/extensions"): Route(extensions.index, "volume:read"),
}


def _absent(noun: str) -> Routes:
    return {
        ("GET", f"/{noun}"): Route(absent.nothing, "volume:read"),
        ("GET", f"/{noun}/detail"): Route(absent.nothing, "volume:read"),
        ("POST", f"/{noun}"): Route(absent.refuse, "volume:write"),
        ("GET", f"/{noun}/{{id}}"): Route(absent.not_there, "volume:read"),
        ("DELETE", f"/{noun}/{{id}}"): Route(absent.not_there, "volume:write"),
    }


_SINCE: Final[dict[tuple[str, str], tuple[Route, Version]]] = {
    ("GET", "/volumes/summary"): (Route(volume_list.summary, "volume:read"), microversion.SUMMARY),
    ("GET", "/messages"): (Route(messages.index, "volume:read"), microversion.MESSAGES),
    ("GET", "/messages/{id}"): (Route(messages.show, "volume:read"), microversion.MESSAGES),
    ("GET", "/attachments"): (Route(attachments.index, "volume:read"), microversion.ATTACHMENTS),
    ("GET", "/attachments/detail"): (Route(attachments.detail, "volume:read"), microversion.ATTACHMENTS),
    ("GET", "/attachments/{id}"): (Route(attachments.show, "volume:read"), microversion.ATTACHMENTS),
    ("POST", "/attachments"): (Route(attachments.refuse, "volume:write"), microversion.ATTACHMENTS),
    ("DELETE", "/attachments/{id}"): (Route(attachments.refuse, "volume:write"), microversion.ATTACHMENTS),
    ("GET", "/resource_filters"): (Route(extensions.filters, "volume:read"), microversion.RESOURCE_FILTERS),
    **{
        way: (route, first)
        for noun, first in {
            "clusters": microversion.SERVICE_CLUSTER,
            "groups": microversion.GROUPS,
            "group_snapshots": microversion.GROUP_SNAPSHOTS,
            "group_types": microversion.GROUP_TYPES,
            "volume-transfers": microversion.TRANSFERS,
        }.items()
        for way, route in _absent(noun).items()
    },
}
"""With the version that each came in."""

_ALWAYS_ABSENT: Final[Routes] = {
    way: route
    for noun in ("backups", "cgsnapshots", "consistencygroups", "os-volume-transfer", "qos-specs")
    for way, route in _absent(noun).items()
}


def _within(serve: Serve) -> Serve:
    """`serve`, for calls whose path names the project that the caller is signed in for."""

    async def checked(call: Call) -> Answer:
        if call.params["project_id"] != call.caller.project:
            raise BadRequest("Malformed request url: it names another project than the token is for.")
        return await serve(call)

    return checked


_SERVED: Final[Routes] = {
    **{
        way: replace(route, serve=negotiated(route.serve))
        for way, route in {**_VOLUMES, **_OTHERS, **_ALWAYS_ABSENT}.items()
    },
    **{way: replace(route, serve=between(route.serve, first=first)) for way, (route, first) in _SINCE.items()},
}

ROUTES: Final[Routes] = {
    **_DISCOVERY,
    **{(method, f"/v3{path}"): route for (method, path), route in _SERVED.items()},
    **{
        (method, f"/v3/{{project_id}}{path}"): replace(route, serve=_within(route.serve))
        for (method, path), route in _SERVED.items()
    },
}

DOOR: Final = Door("volume", ROUTES, faults.cinder, microversion.headers)
