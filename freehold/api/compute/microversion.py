"""Microversions of the compute API, and what changes with which (Nova's "REST API Version History")."""

from typing import Final

from freehold.api.microversions import HEADER, Microversions
from freehold.api.microversions import Version as Version  # it is known by this name all over the door
from freehold.vocabulary.errors import BadRequest

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
ATTACH_TAG: Final = Version(2, 49)
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
DELETED_WITH_SERVER: Final = Version(2, 79)
ATTACHMENT_ID: Final = Version(2, 89)
VOLUMES_SHOWN_WITH_SERVER: Final = Version(2, 3)
FULL_UPDATE: Final = Version(2, 75)
LOCKED_REASON: Final = Version(2, 73)
SERVER_GROUPS_SHOWN: Final = Version(2, 71)
AGGREGATE_IMAGES: Final = Version(2, 81)
ACTION_DETAILS: Final = Version(2, 84)
HYPERVISOR_PLAIN: Final = Version(2, 88)
HOSTNAME: Final = Version(2, 90)
KEYPAIR_IMPORT_ONLY: Final = Version(2, 92)
PINNED_ZONE: Final = Version(2, 96)

NAMES: Final = (HEADER, "x-openstack-nova-api-version")

_SERVED: Final = Microversions("compute", LOWEST, HIGHEST, "X-OpenStack-Nova-API-Version")

of = _SERVED.of
headers = _SERVED.headers
negotiated = _SERVED.negotiated
between = _SERVED.between


def refuse_unknown(name: str) -> BadRequest:
    """The error for a field that a call's version hasn't."""
    return BadRequest(f"Invalid input: Additional properties are not allowed ('{name}' was unexpected)")
