"""Extensions: what Nova once called its parts. Old clients look here for what is served."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.vocabulary.errors import NotFound

_SERVED: Final = {
    "os-aggregates": "Aggregates",
    "os-availability-zone": "AvailabilityZone",
    "os-console-output": "ConsoleOutput",
    "os-extended-availability-zone": "ExtendedAvailabilityZone",
    "os-extended-server-attributes": "ExtendedServerAttributes",
    "os-extended-status": "ExtendedStatus",
    "os-flavor-access": "FlavorAccess",
    "os-flavor-extra-specs": "FlavorExtraSpecs",
    "os-flavor-manage": "FlavorManage",
    "os-hypervisors": "Hypervisors",
    "os-instance-actions": "InstanceActions",
    "os-keypairs": "Keypairs",
    "os-quota-sets": "Quotas",
    "os-scheduler-hints": "SchedulerHints",
    "os-security-groups": "SecurityGroups",
    "os-server-groups": "ServerGroups",
    "os-server-start-stop": "ServerStartStop",
    "os-services": "Services",
    "os-simple-tenant-usage": "SimpleTenantUsage",
    "os-user-data": "UserData",
}


def _shown(alias: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": _SERVED[alias],
        "description": "",
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
        "links": [],
    }


async def index(call: Call) -> Answer:
    """GET /extensions."""
    del call
    return Answer(body={"extensions": [_shown(alias) for alias in _SERVED]})


async def show(call: Call) -> Answer:
    """GET /extensions/{alias}."""
    alias = call.params["alias"]
    if alias not in _SERVED:
        raise NotFound("The resource could not be found.")
    return Answer(body={"extension": _shown(alias)})
