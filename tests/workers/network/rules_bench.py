"""A cluster without store or bus: rules decide, and what they decide is applied."""

from collections.abc import Callable
from typing import Any

from freehold.runtime.chance import SeededChance, new_id
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import Guest, GuestSpec, GuestState, Labels, Refusal
from freehold.vocabulary.network import (
    Carrier,
    CreatePort,
    Network,
    NetworkWanted,
    Port,
    SaveNetwork,
    SaveSecurityGroup,
    SaveSubnet,
    SecurityGroup,
    Subnet,
)
from freehold.vocabulary.request import Build
from freehold.vocabulary.tenant import Flavor
from freehold.vocabulary.units import clock_time
from freehold.workers.network.draft import Draft
from freehold.workers.network.holdings import Holdings
from freehold.workers.network.lifecycle import Decision, Granted, decide_build, hear_guest, hear_refusal
from freehold.workers.network.questions import decide_question

CLUSTER = "c1"
SPEC = GuestSpec(flavor=Flavor(id="1", name="tiny", vcpus=1, ram_mib=64, disk_gib=1), image="")


class RulesBench:
    """Asks rules and takes in what they decide; time is a count."""

    def __init__(self, seed: int = 1) -> None:
        self.holdings = Holdings(CLUSTER)
        self.chance = SeededChance(seed)
        self.now = clock_time(1 << 40)
        self.holdings.apply(Carrier(host=f"h{number}", incarnation="i1") for number in range(1, 10))

    def decide(self, rule: Callable[[Draft], Any]) -> Any:
        """The result of `rule`, with its changes applied unless it raises."""
        self.now += 1
        draft = Draft(self.holdings, self.now, self.chance.bytes)
        result = rule(draft)
        self.holdings.apply(draft.changes)
        return result

    def ask(self, question: Any) -> str:
        """The key that answers a question."""
        return str(self.decide(lambda draft: decide_question(draft, question)))

    def build(self, build: Build) -> Decision:
        """What is decided about a build."""
        decision: Decision = self.decide(lambda draft: decide_build(draft, build))
        return decision

    def shows(self, host: str, guest: str, deed: int = 0, state: GuestState = GuestState.RUNNING) -> None:
        """The host shows the guest under `deed`; 0: shows it no more."""
        record = shown(host, guest, deed, state) if deed else None
        self.decide(lambda draft: hear_guest(draft, host, guest, record))

    def refuses(self, host: str, guest: str, deed: int = 0) -> None:
        """The host refuses the guest up to `deed`; 0: has forgotten that."""
        record = refused(guest, deed) if deed else None
        self.decide(lambda draft: hear_refusal(draft, host, guest, record))

    def network(self, project: str = "p", *, cidr: str = "10.0.0.0/24", **fields: Any) -> str:
        """A new network with a subnet unless `cidr` is empty."""
        record = Network(id="", name="net", project=project, cluster="", **fields)
        key = self.ask(SaveNetwork(network=record, new=True))
        if cidr:
            self.subnet(key, cidr, project)
        return key

    def subnet(self, network: str, cidr: str, project: str = "p", **fields: Any) -> str:
        """A new subnet."""
        wanted: dict[str, Any] = {"gateway": "", "pools": (), **fields}
        record = Subnet(id="", name="sub", project=project, network=network, cidr=cidr, **wanted)
        return self.ask(SaveSubnet(subnet=record, new=True))

    def port(self, network: str, project: str = "p", *, subnets: tuple[str, ...] = (), **fields: Any) -> Port:
        """A new port made by hand."""
        record = Port(id="", project=project, network=network, **{"mac": "", **fields})
        return self.holdings.ports[self.ask(CreatePort(port=record, subnets=subnets))]

    def group(self, name: str = "web", project: str = "p", **fields: Any) -> str:
        """A new security group."""
        return self.ask(SaveSecurityGroup(group=SecurityGroup(id="", name=name, project=project, **fields), new=True))


def a_build(
    *networks: NetworkWanted, guest: str = "g1", deed: int = 1, host: str = "h1", cluster: str = CLUSTER, **fields: Any
) -> Build:
    """A build that has its deed."""
    urn = f"urn:{guest}"
    made = Deed(guest=guest, project="p", number=deed, host=host, cluster=cluster, urn=urn)
    defaults: dict[str, Any] = {"project": "p", "expires": 1 << 60, "spec": SPEC, "deed": made if deed else None}
    return Build(
        urn=urn,
        guest=guest,
        user="u",
        created=0,
        hostname=guest,
        labels=Labels(name=guest),
        networks=networks,
        **{**defaults, **fields},
    )


def granted(decision: Decision) -> Granted:
    """`decision`, which must let the build go on."""
    assert isinstance(decision, Granted), decision
    return decision


def shown(host: str, guest: str, deed: int, state: GuestState = GuestState.RUNNING) -> Guest:
    """A host's record of a guest."""
    return Guest(
        id=guest,
        project="p",
        user="u",
        host=host,
        cluster=CLUSTER,
        deed=deed,
        urn=f"urn:{guest}",
        spec=SPEC,
        labels=Labels(name=guest),
        hostname=guest,
        state=state,
    )


def refused(guest: str, deed: int) -> Refusal:
    """A host's refusal."""
    return Refusal(
        guest=guest, project="p", deed=deed, urn=f"urn:{guest}", fault=Fault(code="NoRoom", message="There is no room.")
    )


def an_id(seed: int) -> str:
    """Some UUID."""
    return new_id(SeededChance(10_000 + seed))
