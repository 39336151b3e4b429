"""What Prometheus reads of an API process: how the owners of the whole cloud are, and how busy this process is.

All of it is at hand when it is asked for: no owner is asked, and nothing is counted for its sake. It names machines and
no tenants; who may read it is for the network to say, so it has an address of its own.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from freehold.api.admission import Admission
from freehold.views.interface import OwnerSeen, View

OWNER: Final = ("role", "cluster", "name", "store")


class Seen(Collector):
    """What there was to see at one moment."""

    def __init__(self, owners: Sequence[OwnerSeen], lanes: Mapping[str, Admission]) -> None:
        self._owners, self._lanes = owners, lanes

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client."""
        owners = [(_labels(seen), seen) for seen in self._owners]
        yield from self._of_owners(owners)
        yield from self._of_backups(owners)
        yield from self._of_lanes()

    def _of_owners(self, owners: list[tuple[list[str], OwnerSeen]]) -> Iterable[Metric]:
        heard = GaugeMetricFamily("freehold_owner_heard", "Whether an owner was heard lately.", labels=OWNER)
        silent = GaugeMetricFamily(
            "freehold_owner_silence_seconds",
            "How long ago an owner was heard; of one that never was, since this process began.",
            labels=OWNER,
        )
        log = GaugeMetricFamily(
            "freehold_owner_log_position", "The number of an owner's newest entry that was read.", labels=OWNER
        )
        refused = CounterMetricFamily(
            "freehold_owner_refused_records",
            "Records that an owner may not tell of, since this process began.",
            labels=(*OWNER, "reason"),
        )
        contradictions = GaugeMetricFamily(
            "freehold_host_contradicted_guests",
            "Guests of which a host tells what can't be, as the last looks found.",
            labels=(*OWNER, "reason"),
        )
        for labels, seen in owners:
            heard.add_metric(labels, int(seen.is_heard))
            silent.add_metric(labels, seen.silent_s)
            log.add_metric(labels, seen.position.seq)
            for reason, count in seen.refused.items():
                refused.add_metric([*labels, reason], count)
            for reason, count in seen.contradictions.items():
                contradictions.add_metric([*labels, reason], count)
        return heard, silent, log, refused, contradictions

    def _of_backups(self, owners: list[tuple[list[str], OwnerSeen]]) -> Iterable[Metric]:
        """Of owners that have one, as they last said."""
        seconds = GaugeMetricFamily(
            "freehold_owner_backup_lag_seconds",
            "For how long what an owner's backup lacks has been written.",
            labels=OWNER,
        )
        entries = GaugeMetricFamily(
            "freehold_owner_backup_lag_entries", "Entries of an owner's log that its backup lacks.", labels=OWNER
        )
        for labels, seen in owners:
            if seen.backup is not None:
                seconds.add_metric(labels, seen.backup.seconds)
                entries.add_metric(labels, seen.backup.entries)
        return seconds, entries

    def _of_lanes(self) -> Iterable[Metric]:
        served = GaugeMetricFamily("freehold_api_served", "Calls that are being served.", labels=("lane",))
        waiting = GaugeMetricFamily("freehold_api_waiting", "Calls that wait to be served.", labels=("lane",))
        refused = CounterMetricFamily(
            "freehold_api_refused", "Calls that were sent away, since this process began.", labels=("lane",)
        )
        for name, lane in self._lanes.items():
            served.add_metric([name], lane.served)
            waiting.add_metric([name], lane.waiting)
            refused.add_metric([name], lane.refused)
        return served, waiting, refused


def _labels(seen: OwnerSeen) -> list[str]:
    return [seen.owner.role, seen.owner.cluster, seen.name, seen.owner.store]


def metrics(view: View, lanes: Mapping[str, Admission]) -> ASGIApp:
    """GET /metrics, in the format that who asks prefers. One reader at a time; the text is made beside the loop."""
    turn = asyncio.Lock()

    async def read(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        async with turn:
            registry = CollectorRegistry()
            registry.register(Seen(list(view.owners()), lanes))
            ProcessCollector(registry=registry)
            text: bytes = await asyncio.to_thread(encode, registry)
        return Response(text, headers={"content-type": content_type})

    return Starlette(routes=[Route("/metrics", read)])
