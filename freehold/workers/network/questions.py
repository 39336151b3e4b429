"""Which rule answers which question: the one table of what this door takes."""

from collections.abc import Callable
from typing import Any, Final

from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.network import (
    AddRules,
    CreatePort,
    DeleteOf,
    EnsureDefaultGroup,
    NetworkQuestion,
    SaveNetwork,
    SaveNetworkQuota,
    SaveSecurityGroup,
    SaveSubnet,
    UpdatePort,
)
from freehold.workers.network import groups, networks, ports
from freehold.workers.network.draft import Draft

DELETIONS: Final[dict[str, Callable[[Draft, str], None]]] = {
    "network": networks.delete_network,
    "subnet": networks.delete_subnet,
    "port": ports.delete_port,
    "security_group": groups.delete_group,
    "security_group_rule": groups.delete_rule,
    "network_quota": networks.delete_quota,
}


def _delete(draft: Draft, asked: DeleteOf) -> str:
    rule = DELETIONS.get(asked.kind)
    if rule is None:
        raise BadRequest(f"A network worker has nothing of kind '{asked.kind}' to delete.")
    rule(draft, asked.id)
    return asked.id


RULES: Final[dict[type, Callable[[Draft, Any], str]]] = {
    SaveNetwork: lambda draft, asked: networks.save_network(draft, asked.network, asked.new),
    SaveSubnet: lambda draft, asked: networks.save_subnet(draft, asked.subnet, asked.new),
    CreatePort: lambda draft, asked: ports.create_port(draft, asked.port, asked.subnets, asked.without_groups),
    UpdatePort: lambda draft, asked: ports.update_port(draft, asked.port),
    SaveSecurityGroup: lambda draft, asked: groups.save_group(draft, asked.group, asked.new),
    AddRules: lambda draft, asked: groups.add_rules(draft, asked.group, asked.rules),
    EnsureDefaultGroup: lambda draft, asked: groups.ensure_default(draft, asked.project),
    SaveNetworkQuota: lambda draft, asked: networks.save_quota(draft, asked.quota),
    DeleteOf: _delete,
}


def decide_question(draft: Draft, question: NetworkQuestion) -> str:
    """Decides a question in `draft` and gives the key of what was made or changed. Raises what the rule raises."""
    return RULES[type(question)](draft, question)
