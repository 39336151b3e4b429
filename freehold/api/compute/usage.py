"""Usage: the hours that a project's servers have run in a span of time. Servers that are gone aren't counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute import server_view
from freehold.api.compute.server_view import Server
from freehold.api.paging import cut, next_link, wanted
from freehold.api.reading import every
from freehold.vocabulary.errors import BadRequest, Forbidden
from freehold.vocabulary.request import Admission
from freehold.vocabulary.units import iso_micros, unix_ms

HOUR_MS: Final = 3_600_000
DAYS_BEFORE: Final = 28
_FORMS: Final = ("%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to `stop`, in milliseconds since 1970."""

    start: int
    stop: int

    def hours(self, began: int) -> float:
        """How much of it was after `began` (milliseconds since 1970), in hours."""
        return max(0, self.stop - max(self.start, began)) / HOUR_MS


def _span(call: Call) -> Span:
    now = call.cloud.clock.clock.unix_ms()
    stop = _time("end", call.query.one("end"), now)
    span = Span(_time("start", call.query.one("start"), now - DAYS_BEFORE * 24 * HOUR_MS), min(stop, now))
    if span.start >= stop:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return span


def _time(name: str, value: str | None, default: int) -> int:
    if not value:
        return default
    for form in _FORMS:
        try:
            return int(datetime.strptime(value, form).replace(tzinfo=UTC).timestamp() * 1000)
        except ValueError:
            continue
    raise BadRequest(f"Invalid input for query parameters {name}. Value: {value[:64]}. It must be a time in UTC.")


def _iso(unix_milliseconds: int) -> str:
    return datetime.fromtimestamp(unix_milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _server(server: Server, span: Span) -> dict[str, Any]:
    admission, flavor, now = server.admission, server.admission.spec.flavor, server_view.shown(server)
    began = unix_ms(admission.created)
    return {
        "instance_id": admission.guest,
        "name": server.labels.name,
        "hours": span.hours(began),
        "flavor": flavor.name,
        "vcpus": flavor.vcpus,
        "memory_mb": flavor.ram_mib,
        "local_gb": flavor.disk_gib + flavor.ephemeral_gib,
        "tenant_id": admission.project,
        "started_at": iso_micros(admission.created),
        "ended_at": None,
        "uptime": max(0, span.stop - began) // 1000,
        "state": now.vm,
    }


def _sums(project: str, rows: list[dict[str, Any]], span: Span) -> dict[str, Any]:
    return {
        "tenant_id": project,
        "total_hours": sum(row["hours"] for row in rows),
        "total_vcpus_usage": sum(row["hours"] * row["vcpus"] for row in rows),
        "total_memory_mb_usage": sum(row["hours"] * row["memory_mb"] for row in rows),
        "total_local_gb_usage": sum(row["hours"] * row["local_gb"] for row in rows),
        "start": _iso(span.start),
        "stop": _iso(span.stop),
    }


def _within(call: Call, admissions: Iterable[Admission], span: Span) -> list[dict[str, Any]]:
    living = (admission for admission in admissions if unix_ms(admission.created) < span.stop)
    return [_server(server_view.joined(call, admission), span) for admission in living]


async def index(call: Call) -> Answer:
    """GET /os-simple-tenant-usage: every project's; ``detailed=1`` with its servers."""
    span, detailed = _span(call), call.query.one("detailed") == "1"
    rows = _within(call, await every(call, Admission, newest_first=False), span)
    rows, links = _page(call, rows, "tenant_usages_links")
    projects: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        projects.setdefault(row["tenant_id"], []).append(row)
    usages = [
        _sums(project, theirs, span) | ({"server_usages": theirs} if detailed else {})
        for project, theirs in projects.items()
    ]
    return Answer(body={"tenant_usages": usages, **links})


async def show(call: Call) -> Answer:
    """GET /os-simple-tenant-usage/{project_id}; empty where there is nothing."""
    project, span = call.params["project_id"], _span(call)
    if not call.caller.owns(project):
        raise Forbidden("Policy doesn't allow os_compute_api:os-simple-tenant-usage:show on another project.")
    rows = _within(call, await every(call, Admission, project, newest_first=False), span)
    rows, links = _page(call, rows, "tenant_usage_links")
    usage = _sums(project, rows, span) | {"server_usages": rows} if rows else {}
    return Answer(body={"tenant_usage": usage, **links})


def _page(call: Call, rows: list[dict[str, Any]], name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    if mv.of(call) < mv.USAGE_PAGES:
        return rows, {}
    rows, more = cut(rows, wanted(call), lambda row: str(row["instance_id"]))
    return rows, {name: [{"rel": "next", "href": next_link(call, rows[-1]["instance_id"])}]} if more else {}
