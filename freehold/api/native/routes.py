"""Everything that passes Freehold's own door, mounted at ``/freehold``."""

from typing import Final

from freehold.api import faults
from freehold.api.call import Door, Route, Routes
from freehold.api.native import events, feeds, fences, hosts, machines, openapi, requests, status, story, webhooks, why

ROUTES: Final[Routes] = {
    ("GET", "/v1/openapi.json"): Route(openapi.shower(lambda: ROUTES), "discover"),
    ("GET", "/v1/owners"): Route(status.owners, "native:admin"),
    ("GET", "/v1/hosts"): Route(status.hosts, "native:admin"),
    ("GET", "/v1/hosts/{id}"): Route(hosts.show, "native:admin"),
    ("PUT", "/v1/hosts/{id}"): Route(hosts.update, "native:admin"),
    ("DELETE", "/v1/hosts/{id}"): Route(hosts.retire, "native:admin"),
    ("GET", "/v1/hosts/{id}/fence"): Route(fences.look, "native:admin"),
    ("PUT", "/v1/hosts/{id}/fence"): Route(fences.fence, "native:admin"),
    ("DELETE", "/v1/hosts/{id}/fence"): Route(fences.unfence, "native:admin"),
    ("GET", "/v1/hosts/{id}/evacuation"): Route(fences.progress, "native:admin"),
    ("POST", "/v1/hosts/{id}/evacuation"): Route(fences.evacuate, "native:admin"),
    ("DELETE", "/v1/hosts/{id}/copies/{guest}"): Route(fences.discard, "native:admin"),
    ("GET", "/v1/retired-hosts"): Route(hosts.retired, "native:admin"),
    ("GET", "/v1/guests/{id}"): Route(status.guest, "native:admin"),
    ("GET", "/v1/stories/{id}"): Route(story.show, "native:admin"),
    ("GET", "/v1/machines"): Route(machines.index, "native:admin"),
    ("POST", "/v1/machines"): Route(machines.enroll, "native:enroll"),
    ("DELETE", "/v1/machines/{id}"): Route(machines.bar, "native:admin"),
    ("POST", "/v1/invitations"): Route(machines.invite, "native:admin"),
    ("GET", "/v1/requests"): Route(requests.index, "request:read"),
    ("GET", "/v1/requests/{urn}"): Route(requests.show, "request:read"),
    ("DELETE", "/v1/requests/{urn}"): Route(requests.cancel, "request:write"),
    ("GET", "/v1/requests/{urn}/why"): Route(why.why, "native:admin"),
    ("GET", "/v1/requests/{urn}/events"): Route(events.of_request, "request:read", sends_events=True),
    ("GET", "/v1/guests/{id}/events"): Route(events.of_guest, "request:read", sends_events=True),
    ("GET", "/v1/events"): Route(events.of_project, "request:read", sends_events=True),
    ("GET", "/v1/webhooks"): Route(webhooks.index, "native:read"),
    ("POST", "/v1/webhooks"): Route(webhooks.create, "native:write"),
    ("GET", "/v1/webhooks/{id}"): Route(webhooks.show, "native:read"),
    ("PUT", "/v1/webhooks/{id}"): Route(webhooks.update, "native:write"),
    ("DELETE", "/v1/webhooks/{id}"): Route(webhooks.delete, "native:write"),
    ("POST", "/v1/webhooks/{id}/secret"): Route(webhooks.renew, "native:write"),
    ("POST", "/v1/webhooks/{id}/ping"): Route(webhooks.ping, "native:write"),
    ("GET", "/v1/webhooks/{id}/deliveries"): Route(webhooks.deliveries, "native:read"),
    ("POST", "/v1/webhooks/{id}/deliveries/{delivery}/resend"): Route(webhooks.resend, "native:write"),
    ("GET", "/v1/feeds"): Route(feeds.index, "native:read"),
    ("POST", "/v1/feeds"): Route(feeds.create, "native:write"),
    ("GET", "/v1/feeds/{id}"): Route(feeds.read, "native:feed"),
    ("DELETE", "/v1/feeds/{id}"): Route(feeds.delete, "native:write"),
    ("POST", "/v1/hub"): Route(feeds.hub, "native:feed"),
}

DOOR: Final = Door("freehold", ROUTES, faults.keystone)
