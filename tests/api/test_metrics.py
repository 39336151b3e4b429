"""What Prometheus reads: every owner as the view knows it, and the lanes of calls."""

from collections.abc import Sequence
from typing import cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from freehold.api.admission import Admission, Lane
from freehold.api.metrics import metrics
from freehold.views.interface import OwnerSeen, View
from freehold.vocabulary.envelope import BackupLag, Owner, Position
from tests.api.asgi import Client

HOST = Owner(role="host", store="s1", cluster="c1")
HEARD = OwnerSeen(
    owner=HOST,
    name="box",
    position=Position(epoch="e", seq=7),
    age_s=1.5,
    silent_s=1.5,
    backup=BackupLag(seq=5, entries=2, seconds=0.25),
    refused={"other role": 3},
    contradictions={"no deed": 1},
)
NEVER = OwnerSeen(
    owner=Owner(role="image", store="s2", cluster="c1"), name="", position=Position(epoch=""), age_s=None, silent_s=60.0
)


class Few:
    """A view that knows some owners."""

    def __init__(self, *owners: OwnerSeen) -> None:
        self._owners = owners

    def owners(self) -> Sequence[OwnerSeen]:
        return self._owners


async def read(client: Client) -> dict[tuple[str, ...], float]:
    """Each sample, by its name, the store or lane it is of, and a reason if it has one."""
    answer = await client.get("/metrics")
    assert answer.status == 200
    samples = [one for family in text_string_to_metric_families(answer.body.decode()) for one in family.samples]
    parts = [(one, [one.labels.get(label) for label in ("store", "lane", "reason")]) for one in samples]
    return {(one.name, *filter(None, named)): one.value for one, named in parts}


@pytest.fixture
def lane() -> Admission:
    return Admission(Lane(calls_max=2, share_max=1, waiting_max=0, wait_s=0.0), "requests")


def client_of(lane: Admission, *owners: OwnerSeen) -> Client:
    return Client(metrics(cast(View, Few(*owners)), {"calls": lane}))


async def test_each_owner_is_told_of(lane: Admission) -> None:
    told = await read(client_of(lane, HEARD, NEVER))
    assert (told["freehold_owner_heard", "s1"], told["freehold_owner_heard", "s2"]) == (1, 0)
    assert told["freehold_owner_silence_seconds", "s2"] == 60
    assert told["freehold_owner_log_position", "s1"] == 7
    assert told["freehold_owner_refused_records_total", "s1", "other role"] == 3
    assert told["freehold_host_contradicted_guests", "s1", "no deed"] == 1


async def test_an_owner_is_named_by_its_role_its_cluster_and_its_own_name(lane: Admission) -> None:
    text = (await client_of(lane, HEARD).get("/metrics")).body.decode()
    assert 'freehold_owner_heard{cluster="c1",name="box",role="host",store="s1"} 1.0' in text


async def test_how_far_a_backup_is_behind_is_told_of_those_that_have_one(lane: Admission) -> None:
    told = await read(client_of(lane, HEARD, NEVER))
    lags = {place: value for place, value in told.items() if "backup" in place[0]}
    assert lags == {("freehold_owner_backup_lag_seconds", "s1"): 0.25, ("freehold_owner_backup_lag_entries", "s1"): 2}


async def test_calls_are_counted_as_they_are_when_they_are_read(lane: Admission) -> None:
    client = client_of(lane)
    await lane.enter("project a")
    with pytest.raises(Exception, match="in progress"):
        await lane.enter("project a")
    told = await read(client)
    assert told["freehold_api_served", "calls"] == 1
    assert told["freehold_api_refused_total", "calls"] == 1
    lane.leave("project a")
    told = await read(client)
    assert (told["freehold_api_served", "calls"], told["freehold_api_refused_total", "calls"]) == (0, 1)


async def test_the_format_is_the_one_that_is_asked_for(lane: Admission) -> None:
    client = client_of(lane, HEARD)
    asked = await client.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert asked.headers["content-type"].startswith("application/openmetrics-text")
    assert asked.body.endswith(b"# EOF\n")
    assert (await client.get("/metrics")).headers["content-type"].startswith("text/plain")


async def test_there_is_nothing_else(lane: Admission) -> None:
    client = client_of(lane)
    assert (await client.get("/")).status == 404
    assert (await client.post("/metrics", {})).status == 405
