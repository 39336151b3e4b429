"""Everything that passes the compute door, mounted at ``/compute``."""

from dataclasses import replace
from typing import Final

from freehold.api import faults
from freehold.api.call import Door, Route, Routes
from freehold.api.compute import (
    actions,
    aggregates,
    availability_zones,
    extensions,
    flavor_access,
    flavor_specs,
    flavors,
    hypervisors,
    instance_actions,
    keypairs,
    limits,
    microversion,
    quotas,
    server_addresses,
    server_create,
    server_groups,
    server_interfaces,
    server_list,
    server_metadata,
    server_security_groups,
    server_tags,
    servers,
    services,
    usage,
    versions,
    volume_attachments,
)
from freehold.api.compute.microversion import Version, between, negotiated

_SERVER: Final = "/v2.1/servers/{server_id}"
_FLAVOR: Final = "/v2.1/flavors/{flavor_id}"
_QUOTA: Final = "/v2.1/os-quota-sets/{project_id}"
_HYPERVISORS: Final = "/v2.1/os-hypervisors"
_AGGREGATES: Final = "/v2.1/os-aggregates"
_VOLUMES: Final = f"{_SERVER}/os-volume_attachments"

_DISCOVERY: Final[Routes] = {
    ("GET", "/"): Route(versions.index, "discover"),
    ("GET", "/v2.1"): Route(versions.show, "discover"),
}

_SERVERS: Final[Routes] = {
    ("GET", "/v2.1/servers"): Route(server_list.index, "compute:read", knows_past=True),
    ("POST", "/v2.1/servers"): Route(server_create.create, "compute:write", asks_for_guests=True),
    ("GET", "/v2.1/servers/detail"): Route(server_list.detail, "compute:read", knows_past=True),
    ("GET", _SERVER): Route(servers.show, "compute:read", knows_past=True),
    ("PUT", _SERVER): Route(servers.update, "compute:write"),
    ("DELETE", _SERVER): Route(servers.delete, "compute:write"),
    ("POST", f"{_SERVER}/action"): Route(actions.act, "compute:write"),
    ("GET", f"{_SERVER}/ips"): Route(server_addresses.index, "compute:read"),
    ("GET", f"{_SERVER}/ips/{{network}}"): Route(server_addresses.show, "compute:read"),
    ("GET", f"{_SERVER}/metadata"): Route(server_metadata.index, "compute:read"),
    ("POST", f"{_SERVER}/metadata"): Route(server_metadata.merge, "compute:write"),
    ("PUT", f"{_SERVER}/metadata"): Route(server_metadata.put, "compute:write"),
    ("GET", f"{_SERVER}/metadata/{{key}}"): Route(server_metadata.show, "compute:read"),
    ("PUT", f"{_SERVER}/metadata/{{key}}"): Route(server_metadata.put_item, "compute:write"),
    ("DELETE", f"{_SERVER}/metadata/{{key}}"): Route(server_metadata.delete, "compute:write"),
    ("GET", f"{_SERVER}/os-instance-actions"): Route(instance_actions.index, "compute:read"),
    ("GET", f"{_SERVER}/os-instance-actions/{{request_id}}"): Route(instance_actions.show, "compute:read"),
    ("GET", f"{_SERVER}/os-interface"): Route(server_interfaces.index, "compute:read"),
    ("GET", f"{_SERVER}/os-interface/{{port_id}}"): Route(server_interfaces.show, "compute:read"),
    ("GET", f"{_SERVER}/os-security-groups"): Route(server_security_groups.index, "compute:read"),
    ("GET", _VOLUMES): Route(volume_attachments.index, "compute:read"),
    ("POST", _VOLUMES): Route(volume_attachments.create, "compute:write"),
    ("GET", f"{_VOLUMES}/{{volume_id}}"): Route(volume_attachments.show, "compute:read"),
    ("PUT", f"{_VOLUMES}/{{volume_id}}"): Route(volume_attachments.update, "compute:write"),
    ("DELETE", f"{_VOLUMES}/{{volume_id}}"): Route(volume_attachments.delete, "compute:write"),
}

_OTHERS: Final[Routes] = {
    ("GET", "/v2.1/flavors"): Route(flavors.index, "compute:read"),
    ("POST", "/v2.1/flavors"): Route(flavors.create, "compute:admin"),
    ("GET", "/v2.1/flavors/detail"): Route(flavors.detail, "compute:read"),
    ("GET", _FLAVOR): Route(flavors.show, "compute:read"),
    ("DELETE", _FLAVOR): Route(flavors.delete, "compute:admin"),
    ("POST", f"{_FLAVOR}/action"): Route(flavor_access.act, "compute:admin"),
    ("GET", f"{_FLAVOR}/os-flavor-access"): Route(flavor_access.index, "compute:admin"),
    ("GET", f"{_FLAVOR}/os-extra_specs"): Route(flavor_specs.index, "compute:read"),
    ("POST", f"{_FLAVOR}/os-extra_specs"): Route(flavor_specs.create, "compute:admin"),
    ("GET", f"{_FLAVOR}/os-extra_specs/{{key}}"): Route(flavor_specs.show, "compute:read"),
    ("PUT", f"{_FLAVOR}/os-extra_specs/{{key}}"): Route(flavor_specs.update, "compute:admin"),
    ("DELETE", f"{_FLAVOR}/os-extra_specs/{{key}}"): Route(flavor_specs.delete, "compute:admin"),
    ("GET", "/v2.1/os-keypairs"): Route(keypairs.index, "compute:read"),
    ("POST", "/v2.1/os-keypairs"): Route(keypairs.create, "compute:write"),
    ("GET", "/v2.1/os-keypairs/{name}"): Route(keypairs.show, "compute:read"),
    ("DELETE", "/v2.1/os-keypairs/{name}"): Route(keypairs.delete, "compute:write"),
    ("GET", "/v2.1/os-server-groups"): Route(server_groups.index, "compute:read"),
    ("POST", "/v2.1/os-server-groups"): Route(server_groups.create, "compute:write"),
    ("GET", "/v2.1/os-server-groups/{group_id}"): Route(server_groups.show, "compute:read"),
    ("DELETE", "/v2.1/os-server-groups/{group_id}"): Route(server_groups.delete, "compute:write"),
    ("GET", "/v2.1/limits"): Route(limits.show, "compute:read"),
    ("GET", _QUOTA): Route(quotas.show, "compute:read"),
    ("PUT", _QUOTA): Route(quotas.update, "compute:admin"),
    ("DELETE", _QUOTA): Route(quotas.delete, "compute:admin"),
    ("GET", f"{_QUOTA}/detail"): Route(quotas.detail, "compute:read"),
    ("GET", f"{_QUOTA}/defaults"): Route(quotas.defaults, "compute:read"),
    ("GET", "/v2.1/os-availability-zone"): Route(availability_zones.index, "compute:read"),
    ("GET", "/v2.1/os-availability-zone/detail"): Route(availability_zones.detail, "compute:admin"),
    ("GET", _AGGREGATES): Route(aggregates.index, "compute:admin"),
    ("POST", _AGGREGATES): Route(aggregates.create, "compute:admin"),
    ("GET", f"{_AGGREGATES}/{{aggregate_id}}"): Route(aggregates.show, "compute:admin"),
    ("PUT", f"{_AGGREGATES}/{{aggregate_id}}"): Route(aggregates.update, "compute:admin"),
    ("DELETE", f"{_AGGREGATES}/{{aggregate_id}}"): Route(aggregates.delete, "compute:admin"),
    ("POST", f"{_AGGREGATES}/{{aggregate_id}}/action"): Route(aggregates.act, "compute:admin"),
    ("GET", "/v2.1/os-services"): Route(services.index, "compute:admin"),
    ("PUT", "/v2.1/os-services/{service_id}"): Route(services.update, "compute:admin"),
    ("DELETE", "/v2.1/os-services/{service_id}"): Route(services.delete, "compute:admin"),
    ("GET", _HYPERVISORS): Route(hypervisors.index, "compute:admin"),
    ("GET", f"{_HYPERVISORS}/detail"): Route(hypervisors.detail, "compute:admin"),
    ("GET", f"{_HYPERVISORS}/{{hypervisor_id}}"): Route(hypervisors.show, "compute:admin"),
    ("GET", "/v2.1/os-simple-tenant-usage"): Route(usage.index, "compute:admin"),
    ("GET", "/v2.1/os-simple-tenant-usage/{project_id}"): Route(usage.show, "compute:read"),
    ("GET", "/v2.1/extensions"): Route(extensions.index, "compute:read"),
    ("GET", "/v2.1/extensions/{alias}"): Route(extensions.show, "compute:read"),
}

_SINCE: Final[dict[tuple[str, str], tuple[Route, Version]]] = {
    ("GET", f"{_SERVER}/tags"): (Route(server_tags.index, "compute:read"), microversion.TAGS),
    ("PUT", f"{_SERVER}/tags"): (Route(server_tags.put, "compute:write"), microversion.TAGS),
    ("DELETE", f"{_SERVER}/tags"): (Route(server_tags.clear, "compute:write"), microversion.TAGS),
    ("GET", f"{_SERVER}/tags/{{tag}}"): (Route(server_tags.show, "compute:read"), microversion.TAGS),
    ("PUT", f"{_SERVER}/tags/{{tag}}"): (Route(server_tags.add, "compute:write"), microversion.TAGS),
    ("DELETE", f"{_SERVER}/tags/{{tag}}"): (Route(server_tags.delete, "compute:write"), microversion.TAGS),
    ("POST", f"{_AGGREGATES}/{{aggregate_id}}/images"): (
        Route(aggregates.cache_images, "compute:admin"),
        microversion.AGGREGATE_IMAGES,
    ),
    ("PUT", _FLAVOR): (Route(flavors.update, "compute:admin"), microversion.FLAVOR_DESCRIPTION),
}
"""With the version that each came in."""

_UNTIL: Final[dict[tuple[str, str], tuple[Route, Version]]] = {
    ("GET", f"{_HYPERVISORS}/statistics"): (Route(hypervisors.statistics, "compute:admin"), Version(2, 87)),
    ("GET", f"{_HYPERVISORS}/{{hypervisor_id}}/uptime"): (Route(hypervisors.uptime, "compute:admin"), Version(2, 87)),
    ("GET", f"{_HYPERVISORS}/{{hypervisor_id}}/search"): (Route(hypervisors.search, "compute:admin"), Version(2, 52)),
    ("GET", f"{_HYPERVISORS}/{{hypervisor_id}}/servers"): (Route(hypervisors.servers, "compute:admin"), Version(2, 52)),
}
"""With the last version of each."""

ROUTES: Final[Routes] = {
    **_DISCOVERY,
    **{way: replace(route, serve=negotiated(route.serve)) for way, route in {**_SERVERS, **_OTHERS}.items()},
    **{way: Route(between(route.serve, first=first), route.policy) for way, (route, first) in _SINCE.items()},
    **{way: Route(between(route.serve, last=last), route.policy) for way, (route, last) in _UNTIL.items()},
}

DOOR: Final = Door("compute", ROUTES, faults.nova, microversion.headers)
