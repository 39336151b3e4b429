"""A server as clients see it: what the registrar admitted joined with what its host says, under the highest deed."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Final

from freehold.api.call import Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.links import bookmark, links
from freehold.api.compute.microversion import Version
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import Action, Guest, GuestState, Labels
from freehold.vocabulary.host import Host
from freehold.vocabulary.network import Port, PortWiring, SecurityGroup
from freehold.vocabulary.request import Admission, Stage
from freehold.vocabulary.units import iso_micros, iso_seconds

NO_STATE, RUNNING, SHUTDOWN, CRASHED = 0, 1, 4, 6
"""Nova's power states."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Nova's words for where a server stands."""

    status: str
    vm: str
    task: str | None
    power: int


_BY_STATE: Final[dict[GuestState, Shown]] = {
    GuestState.RUNNING: Shown("ACTIVE", "active", None, RUNNING),
    GuestState.STOPPED: Shown("SHUTOFF", "stopped", None, SHUTDOWN),
    GuestState.PAUSED: Shown("PAUSED", "paused", None, 3),
    GuestState.CRASHED: Shown("ERROR", "error", None, CRASHED),
    GuestState.QUARANTINED: Shown("ERROR", "error", None, SHUTDOWN),
    GuestState.SHUTTING_DOWN: Shown("ACTIVE", "active", "powering-off", RUNNING),
    GuestState.STOPPING: Shown("ACTIVE", "active", "powering-off", RUNNING),
    GuestState.REBOOTING_SOFT: Shown("REBOOT", "active", "rebooting", RUNNING),
    GuestState.REBOOTING_HARD: Shown("HARD_REBOOT", "active", "rebooting_hard", RUNNING),
    GuestState.DELETING: Shown("ACTIVE", "active", "deleting", RUNNING),
    GuestState.REFUSING: Shown("BUILD", "building", "scheduling", NO_STATE),
}
_STARTING: Final = Shown("SHUTOFF", "stopped", "powering-on", SHUTDOWN)
_RESTARTING: Final = Shown("HARD_REBOOT", "active", "rebooting_hard", RUNNING)
_SPAWNING: Final = Shown("BUILD", "building", "spawning", NO_STATE)
_REBUILDING: Final = Shown("REBUILD", "active", "rebuilding", NO_STATE)
"""What Nova shows of a server that is evacuated."""
_FAILED: Final = Shown("ERROR", "error", None, NO_STATE)
_DELETED: Final = Shown("DELETED", "deleted", None, NO_STATE)
_BY_STAGE: Final[dict[Stage, str]] = {Stage.ADMITTED: "scheduling", Stage.SCHEDULED: "networking"}

_CODES: Final = {"NoRoom": 500, "Unavailable": 500, "NotFound": 404, "BadRequest": 400, "Conflict": 409}


@dataclass(frozen=True, slots=True)
class Server:
    """An admission, and its guest if the host with the highest deed has told of it."""

    admission: Admission
    guest: Guest | None
    doing: str = ""
    """The action that the guest's state in progress belongs to, where the state alone doesn't say: ``start``,
    ``reboot``.
    """
    deleted: int = 0
    """The clock time at which it went, of a server that is gone."""
    unheard: bool = False
    """Its host has been silent for so long that nobody may rely on what it last said."""

    @property
    def labels(self) -> Labels:
        """Name, description, metadata and tags as they are now."""
        return self.admission.labels if self.guest is None else self.guest.labels

    @property
    def updated(self) -> int:
        """When it last changed, as a clock time."""
        return max(self.admission.updated, 0 if self.guest is None else self.guest.updated, self.deleted)

    @property
    def fault(self) -> Fault | None:
        """Why it is in ERROR."""
        return self.admission.fault or (None if self.guest is None else self.guest.fault)


def joined(call: Call, admission: Admission) -> Server:
    """The server of an admission."""
    guest = call.cloud.view.get(Guest, admission.guest)
    deed = admission.live_deed()  # what a host tells under a deed that it has refused is of an old copy of its disk
    ours = guest is not None and deed is not None and (guest.deed, guest.host) == (deed.number, deed.host)
    if guest is None or not ours:
        return Server(admission, None, unheard=_unread(call, admission))
    return Server(admission, guest, _doing(call, guest), unheard=_unheard(call, guest.host))


def _unheard(call: Call, host: str) -> bool:
    after_s = call.cloud.unknown_after_s
    seen = None if after_s is None else call.cloud.view.owner_seen(host)
    return after_s is not None and seen is not None and seen.silent_s >= after_s


def _unread(call: Call, admission: Admission) -> bool:
    """Whether nothing is known of how a guest is that runs: its host wasn't read yet since the view was begun anew."""
    deed = admission.live_deed()
    return admission.stage is Stage.ACTIVE and deed is not None and call.cloud.view.place(deed.host) is None


def _doing(call: Call, guest: Guest) -> str:
    if guest.launched is None or guest.state not in (GuestState.WIRING, GuestState.LAUNCHING):
        return ""
    action = call.cloud.view.get(Action, f"{guest.id}/{guest.working_for}")
    return "" if action is None else action.action


def shown(server: Server) -> Shown:
    """Status, vm state, task state and power state."""
    if server.deleted:
        return _DELETED
    found = _stands(server)
    if server.unheard:
        found = replace(found, status="UNKNOWN")
    if server.admission.delete_urn:
        return replace(found, task="deleting")
    return found


def _stands(server: Server) -> Shown:
    admission, guest = server.admission, server.guest
    if admission.stage is Stage.FAILED and (guest is None or guest.launched is None):
        return _FAILED
    anew = admission.made_urn and admission.stage not in (Stage.ACTIVE, Stage.FAILED)
    if (admission.moving and admission.stage is Stage.ACTIVE) or (anew and (guest is None or guest.launched is None)):
        return _REBUILDING
    if guest is None and server.unheard:
        return Shown("UNKNOWN", "active", None, NO_STATE)
    if guest is None:
        return Shown("BUILD", "building", _BY_STAGE.get(admission.stage, "spawning"), NO_STATE)
    if guest.state in _BY_STATE:
        return _BY_STATE[guest.state]
    if guest.launched is None:
        return _SPAWNING
    return _RESTARTING if server.doing == "reboot" else _STARTING


def addresses(call: Call, server: Server) -> dict[str, list[dict[str, Any]]]:
    """Addresses by network name: of those that the host was told, the ones that the network worker has leased."""
    found: dict[str, list[dict[str, Any]]] = {}
    for wiring, port in leased(call, server):
        rows = found.setdefault(wiring.network_name, [])
        for address in port.addresses:
            if address.address in wiring.addresses:
                said = {"version": 4, "addr": address.address, "OS-EXT-IPS:type": "fixed"}
                rows.append(said | {"OS-EXT-IPS-MAC:mac_addr": port.mac})
    return found


def leased(call: Call, server: Server) -> list[tuple[PortWiring, Port]]:
    """A server's ports as its host has them, each with the network worker's record of it. A host can't show for its
    guest what was leased to nobody, or to another.
    """
    wirings = server.guest.ports if server.guest is not None else ()
    ports = ((wiring, call.cloud.view.get(Port, wiring.port)) for wiring in wirings)
    return [(wiring, port) for wiring, port in ports if port is not None and port.device == server.admission.guest]


def summary(call: Call, server: Server) -> dict[str, Any]:
    """A line of the short list."""
    guest = server.admission.guest
    return {"id": guest, "name": server.labels.name, "links": links(call, "servers", guest)}


def detail(call: Call, server: Server) -> dict[str, Any]:
    """The whole of a server, in the shape of the call's version."""
    version, admission, now = mv.of(call), server.admission, shown(server)
    body = summary(call, server) | {
        "status": now.status,
        "tenant_id": admission.project,
        "user_id": admission.user,
        "metadata": server.labels.metadata,
        "hostId": host_id(server),
        "image": _image(call, server),
        "flavor": _flavor(call, server, version),
        "created": iso_seconds(admission.created),
        "updated": iso_seconds(server.updated),
        "addresses": addresses(call, server),
        "accessIPv4": "",
        "accessIPv6": "",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": _zone(server),
        "config_drive": "True" if admission.spec.config_drive else "",
        "key_name": admission.spec.key_name or None,
        "OS-EXT-STS:task_state": now.task,
        "OS-EXT-STS:vm_state": now.vm,
        "OS-EXT-STS:power_state": now.power,
        "OS-SRV-USG:launched_at": _launched(server),
        "OS-SRV-USG:terminated_at": iso_micros(server.deleted) if server.deleted else None,
        "os-extended-volumes:volumes_attached": _volumes(server, version),
    }
    groups = _group_names(call, server)
    if groups:
        body["security_groups"] = groups
    if now.status in ("ACTIVE", "BUILD"):
        body["progress"] = 100 if now.status == "ACTIVE" else 0
    if now.status == "ERROR" and server.fault is not None:
        body["fault"] = _fault(server.fault, server.updated)
    return body | _later(server, version) | (_for_admins(call, server, version) if call.caller.is_admin else {})


def _volumes(server: Server, version: Version) -> list[dict[str, Any]]:
    volumes = () if server.guest is None else server.guest.volumes
    if version < mv.VOLUMES_SHOWN_WITH_SERVER:
        return [{"id": one.volume} for one in volumes]
    return [{"id": one.volume, "delete_on_termination": one.delete_on_termination} for one in volumes]


def _later(server: Server, version: Version) -> dict[str, Any]:
    labels = server.labels
    fields: tuple[tuple[Version, str, Any], ...] = (
        (mv.LOCKED, "locked", labels.locked),
        (mv.DESCRIPTION, "description", labels.description),
        (mv.TAGS, "tags", list(labels.tags)),
        (mv.TRUSTED_CERTS, "trusted_image_certificates", None),
        (mv.SERVER_GROUPS_SHOWN, "server_groups", [g for g in (server.admission.spec.server_group,) if g]),
        (mv.LOCKED_REASON, "locked_reason", labels.locked_reason),
        (mv.PINNED_ZONE, "pinned_availability_zone", server.admission.spec.availability_zone or None),
    )
    return {name: value for since, name, value in fields if version >= since}


def _for_admins(call: Call, server: Server, version: Version) -> dict[str, Any]:
    deed = server.admission.deed
    host = None if deed is None else call.cloud.view.get(Host, deed.host)
    name = None if host is None else host.name
    body: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": name,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": name,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{server.admission.guest[:8]}",
    }
    if version >= mv.SERVER_HOST_FIELDS:
        body |= {
            "OS-EXT-SRV-ATTR:reservation_id": "",
            "OS-EXT-SRV-ATTR:launch_index": 0,
            "OS-EXT-SRV-ATTR:hostname": server.admission.hostname,
            "OS-EXT-SRV-ATTR:kernel_id": "",
            "OS-EXT-SRV-ATTR:ramdisk_id": "",
            "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
            "OS-EXT-SRV-ATTR:user_data": None,
        }
    if version >= mv.HOST_STATUS:
        body["host_status"] = _host_status(call, host)
    return body


def _host_status(call: Call, host: Host | None) -> str:
    """Nova's word for the host: UNKNOWN for one that isn't heard, so that the server is as old as that."""
    if host is None:
        return ""
    if not host.enabled:
        return "MAINTENANCE"
    seen = call.cloud.view.owner_seen(host.id)
    return "UP" if seen is None or seen.is_heard else "UNKNOWN"


def host_id(server: Server) -> str:
    """What stands for the host to those who may not know its name: differs from project to project."""
    deed = server.admission.deed
    return "" if deed is None else hashlib.sha224(f"{deed.project}{deed.host}".encode()).hexdigest()


def _image(call: Call, server: Server) -> dict[str, Any] | str:
    image = server.admission.spec.image
    return {"id": image, "links": [bookmark(call, "images", image)]} if image else ""


def _flavor(call: Call, server: Server, version: Version) -> dict[str, Any]:
    flavor = server.admission.spec.flavor
    if version < mv.FLAVOR_EMBEDDED:
        return {"id": flavor.id, "links": [bookmark(call, "flavors", flavor.id)]}
    return {
        "original_name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "ephemeral": flavor.ephemeral_gib,
        "swap": flavor.swap_mib,
        "extra_specs": flavor.extra_specs,
    }


def _zone(server: Server) -> str:
    deed = server.admission.deed
    return server.admission.spec.availability_zone if deed is None else deed.cluster


def _launched(server: Server) -> str | None:
    guest = server.guest
    return None if guest is None or guest.launched is None else iso_micros(guest.launched)


def _group_names(call: Call, server: Server) -> list[dict[str, str]]:
    return [{"name": name} for name in sorted(group.name for group in groups_of(call, server))]


def ports_of(call: Call, server: Server) -> list[Port]:
    """A server's ports: those its host was told of, or those that are known to be for it until it has a host."""
    view, admission = call.cloud.view, server.admission
    if server.guest is not None:
        return [port for _, port in leased(call, server)]
    every = view.list(Port, admission.project, newest_first=False)
    return [port for port in every if port.device == admission.guest]


def groups_of(call: Call, server: Server) -> list[SecurityGroup]:
    """The security groups of a server's ports, or those asked for until it has a host."""
    if server.guest is None:
        ids = set(server.admission.spec.security_groups)
    else:
        ids = {group for port in ports_of(call, server) for group in port.security_groups}
    groups = (call.cloud.view.get(SecurityGroup, group) for group in sorted(ids))
    return [group for group in groups if group is not None]


def _fault(fault: Fault, time: int) -> dict[str, Any]:
    return {"code": _CODES.get(fault.code, 500), "created": iso_seconds(time), "message": fault.message[:255]}
