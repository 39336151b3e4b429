"""Why a request's guest was put where it is, or nowhere: `GET /v1/requests/{urn}/why`, for admins."""

from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.native.requests import DEADLINE_S, found
from freehold.bus import subjects, talk
from freehold.vocabulary.choice import Choice, Explain, Filter
from freehold.vocabulary.errors import Conflict, NotFound
from freehold.vocabulary.network import Network, Ties
from freehold.vocabulary.request import Admission, Build, Request

MEANS: Final = {
    Filter.CLOSED: "drained, fenced or retired",
    Filter.SILENT: "not heard lately",
    Filter.ZONE: "of another availability zone, or of another than its networks",
    Filter.AGGREGATE: "in no host aggregate that its flavor asks for",
    Filter.TENANT: "kept for other projects by their host aggregates",
    Filter.TRAITS: "without a trait that it requires, or with one that it forbids",
    Filter.IMAGE: "of another architecture, or another hypervisor, than its image is made for",
    Filter.VCPUS: "with too few vCPUs free",
    Filter.MEMORY: "with too little memory free",
    Filter.DISK: "with too little disk free",
    Filter.TARGET: "not on its physical networks",
    Filter.HINT: "that its scheduler hints don't allow",
    Filter.GROUP: "that its server group's policy doesn't allow",
    Filter.REFUSED: "that have refused it",
}


async def why(call: Call) -> Answer:
    """GET /v1/requests/{urn}/why: which hosts a scheduler would leave out for the guest now, what for, and the best of
    those that are left; and why hosts have refused it.
    """
    record = await found(call, call.params["urn"])
    if not isinstance(record, Request) or record.action != "create":
        raise Conflict("A host is chosen for a guest that is made; this request does something else.")
    admission = call.cloud.view.get(Admission, record.guest)
    if admission is None:
        raise NotFound(f"The server of request {record.urn} is gone.")
    question = Explain(build=_build(call, admission))
    choice = await talk.ask(call.cloud.bus, subjects.ASK_SCHEDULER, question, Choice, DEADLINE_S)
    return Answer(body={"why": _shown(admission, choice)})


def _build(call: Call, admission: Admission) -> Build:
    networks = [call.cloud.view.get(Network, wanted.network) for wanted in admission.networks]
    known = [network for network in networks if network is not None]
    physical = tuple(sorted({network.physical for network in known if network.physical}))
    return Build(
        urn=admission.urn,
        guest=admission.guest,
        project=admission.project,
        user=admission.user,
        created=admission.created,
        expires=admission.created,
        hostname=admission.hostname,
        labels=admission.labels,
        spec=admission.spec,
        networks=admission.networks,
        refused=admission.refused_hosts,
        ties=Ties(cluster=known[0].cluster if known else "", physical=physical),
    )


def _shown(admission: Admission, choice: Choice) -> dict[str, Any]:
    return {
        "guest": admission.guest,
        "host": admission.deed.host if admission.deed else None,
        "refusals": [fault.message for fault in admission.refused],
        "hosts": choice.hosts,
        "left_out": [
            {"filter": one.filter.value, "hosts": one.hosts, "means": MEANS[one.filter]} for one in choice.left_out
        ],
        "fit": choice.fit,
        "best": list(choice.best),
    }
