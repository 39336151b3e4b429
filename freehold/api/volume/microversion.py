"""Microversions of the volume API, and what changes with which (Cinder's "REST API Version History")."""

from typing import Final

from freehold.api.microversions import Microversions, Version

LOWEST: Final = Version(3, 0)
HIGHEST: Final = Version(3, 71)

MESSAGES: Final = Version(3, 3)
SERVICE_CLUSTER: Final = Version(3, 7)
GROUP_TYPES: Final = Version(3, 11)
SUMMARY: Final = Version(3, 12)
GROUPS: Final = Version(3, 13)
GROUP_SNAPSHOTS: Final = Version(3, 14)
PROVIDER_ID: Final = Version(3, 21)
FORCED_DELETE: Final = Version(3, 23)
ATTACHMENTS: Final = Version(3, 27)
FILTERS_CHECKED: Final = Version(3, 31)
RESOURCE_FILTERS: Final = Version(3, 33)
LIKE_FILTERS: Final = Version(3, 34)
SUMMARY_METADATA: Final = Version(3, 36)
LIMITS_OF_PROJECT: Final = Version(3, 39)
SNAPSHOT_USER: Final = Version(3, 41)
EXTEND_IN_USE: Final = Version(3, 42)
COUNT: Final = Version(3, 45)
SHARED_TARGETS: Final = Version(3, 48)
BACKEND_STATE: Final = Version(3, 49)
TRANSFERS: Final = Version(3, 55)
TIME_FILTERS: Final = Version(3, 60)
CLUSTER_NAME: Final = Version(3, 61)
TYPE_ID: Final = Version(3, 63)
CONSUMES_QUOTA: Final = Version(3, 65)
FORCE_IS_IMPLIED: Final = Version(3, 66)

_SERVED: Final = Microversions("volume", LOWEST, HIGHEST)

of = _SERVED.of
headers = _SERVED.headers
negotiated = _SERVED.negotiated
between = _SERVED.between
