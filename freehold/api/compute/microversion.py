"""Microversions: which one a call is in, and what changes with which (Nova's "REST API Version History")."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from freehold.api.call import Answer, Call, Serve
from freehold.api.faults import HttpRefusal
from freehold.vocabulary.errors import BadRequest, NotFound


class Version(NamedTuple):
    """A microversion; ordered as they came."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


LOWEST: Final = Version(2, 1)
HIGHEST: Final = Version(2, 96)

KEYPAIR_TYPE: Final = Version(2, 2)
SERVER_HOST_FIELDS: Final = Version(2, 3)
LOCKED: Final = Version(2, 9)
KEYPAIR_OF_USER: Final = Version(2, 10)
SERVICE_FORCED_DOWN: Final = Version(2, 11)
SERVER_GROUP_PROJECT: Final = Version(2, 13)
SOFT_POLICIES: Final = Version(2, 15)
HOST_STATUS: Final = Version(2, 16)
DESCRIPTION: Final = Version(2, 19)
TAGS: Final = Version(2, 26)
CPU_INFO_OBJECT: Final = Version(2, 28)
EVACUATE_ANYWHERE: Final = Version(2, 14)
EVACUATE_FORCED: Final = Version(2, 29)
EVACUATE_UNFORCED: Final = Version(2, 68)
EVACUATE_STOPPED: Final = Version(2, 95)
HYPERVISOR_PAGES: Final = Version(2, 33)
KEYPAIR_PAGES: Final = Version(2, 35)
NO_PROXIES: Final = Version(2, 36)
NETWORKS_REQUIRED: Final = Version(2, 37)
NO_IMAGE_META: Final = Version(2, 39)
USAGE_PAGES: Final = Version(2, 40)
AGGREGATE_UUID: Final = Version(2, 41)
ACTION_EVENTS: Final = Version(2, 51)
CREATE_TAGS: Final = Version(2, 52)
UUID_FOR_HYPERVISORS: Final = Version(2, 53)
FLAVOR_DESCRIPTION: Final = Version(2, 55)
NO_FILES: Final = Version(2, 57)
ACTION_PAGES: Final = Version(2, 58)
FLAVOR_SPECS: Final = Version(2, 61)
ACTION_HOST: Final = Version(2, 62)
TRUSTED_CERTS: Final = Version(2, 63)
GROUP_POLICY: Final = Version(2, 64)
FLAVOR_EMBEDDED: Final = Version(2, 47)
ACTION_BEFORE: Final = Version(2, 66)
INTERFACE_TAG: Final = Version(2, 70)
CREATE_HOST: Final = Version(2, 74)
FULL_UPDATE: Final = Version(2, 75)
LOCKED_REASON: Final = Version(2, 73)
SERVER_GROUPS_SHOWN: Final = Version(2, 71)
AGGREGATE_IMAGES: Final = Version(2, 81)
ACTION_DETAILS: Final = Version(2, 84)
HYPERVISOR_PLAIN: Final = Version(2, 88)
HOSTNAME: Final = Version(2, 90)
KEYPAIR_IMPORT_ONLY: Final = Version(2, 92)
PINNED_ZONE: Final = Version(2, 96)

NAMES: Final = ("openstack-api-version", "x-openstack-nova-api-version")
_FORM: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


def of(call: Call) -> Version:
    """The version a call is in; the lowest if it names none.

    Raises BadRequest for one that isn't a version, HttpRefusal 406 for one that isn't served.
    """
    return _read(call.headers.get(NAMES[0], ""), call.headers.get(NAMES[1]))


@lru_cache(maxsize=256)
def _read(named: str, nova: str | None) -> Version:
    asked = _asked(named, nova)
    if asked is None:
        return LOWEST
    if asked == "latest":
        return HIGHEST
    form = _FORM.fullmatch(asked)
    if form is None:
        raise BadRequest(f"API Version String {asked[:32]} is of invalid format. Must be of format MajorNum.MinorNum.")
    version = Version(int(form[1]), int(form[2]))
    if not LOWEST <= version <= HIGHEST:
        message = f"Version {version} is not supported by the API. Minimum is {LOWEST} and maximum is {HIGHEST}."
        raise HttpRefusal(406, message)
    return version


def _asked(named: str, nova: str | None) -> str | None:
    for part in named.split(","):
        service, _, version = part.strip().partition(" ")
        if service.lower() == "compute" and version:
            return version.strip()
    return nova


def headers(call: Call) -> Mapping[str, str]:
    """What every answer says of its version."""
    try:
        version = of(call)
    except (BadRequest, HttpRefusal):
        version = LOWEST
    return _told(version)


@lru_cache(maxsize=256)
def _told(version: Version) -> Mapping[str, str]:
    return {
        "openstack-api-version": f"compute {version}",
        "x-openstack-nova-api-version": str(version),
        "vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
    }


def negotiated(serve: Serve) -> Serve:
    """`serve`, after the version was found to be one of ours."""

    async def checked(call: Call) -> Answer:
        of(call)
        return await serve(call)

    return checked


def between(serve: Serve, first: Version = LOWEST, last: Version = HIGHEST) -> Serve:
    """`serve`, for calls in versions from `first` to `last`; in others there is no such resource."""

    async def gated(call: Call) -> Answer:
        if not first <= of(call) <= last:
            raise NotFound("The resource could not be found.")
        return await serve(call)

    return gated


def refuse_unknown(name: str) -> BadRequest:
    """The error for a field that a call's version hasn't."""
    return BadRequest(f"Invalid input: Additional properties are not allowed ('{name}' was unexpected)")
