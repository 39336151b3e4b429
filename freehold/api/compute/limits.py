"""Limits: a project's quota and use in one, as clients ask before they start."""

from typing import Any

from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.quotas import quota_of, used
from freehold.vocabulary.tenant import UNLIMITED


async def show(call: Call) -> Answer:
    """GET /limits; an admin may ask for another project by ``tenant_id``."""
    project = call.query.one("tenant_id") or call.caller.project
    quota = await quota_of(call, project)
    counts, version = await used(call, quota.project), mv.of(call)
    absolute: dict[str, Any] = {
        "maxServerMeta": quota.metadata_items,
        "maxTotalInstances": quota.instances,
        "maxTotalCores": quota.cores,
        "maxTotalRAMSize": quota.ram_mib,
        "maxTotalKeypairs": quota.key_pairs,
        "maxServerGroups": quota.server_groups,
        "maxServerGroupMembers": quota.server_group_members,
        "totalInstancesUsed": counts["instances"],
        "totalCoresUsed": counts["cores"],
        "totalRAMUsed": counts["ram"],
        "totalServerGroupsUsed": counts["server_groups"],
    }
    if version < mv.NO_FILES:
        absolute |= {"maxPersonality": quota.injected_files, "maxPersonalitySize": quota.injected_file_bytes}
    if version < mv.NO_IMAGE_META:
        absolute["maxImageMeta"] = quota.metadata_items
    if version < mv.NO_PROXIES:
        absolute |= dict.fromkeys(("maxTotalFloatingIps", "maxSecurityGroups", "maxSecurityGroupRules"), UNLIMITED)
        absolute |= {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}
    return Answer(body={"limits": {"rate": [], "absolute": absolute}})
