"""The OpenAPI document is true to the code: every route is in it, and neither what it allows nor forbids breaks it."""

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from freehold.api.native.openapi import FORMS, NO_BODY, QUERY, body_of, document
from freehold.api.native.routes import ROUTES
from tests.api.asgi import Client
from tests.api.compute.conftest import Compute
from tests.reading import Reader
from tests.workers.notifier.bench import Receiver

EXAMPLES = 12
"""For each operation, valid and invalid ones."""


async def test_it_is_served_to_everybody(compute: Compute) -> None:
    reply = await compute.api.nobody.get("/freehold/v1/openapi.json")
    assert reply.status == 200 and reply.json == document(ROUTES, "http://cloud.example/freehold")


def test_every_route_is_in_it() -> None:
    paths = document(ROUTES, "http://cloud")["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(ROUTES)
    assert set(QUERY) <= set(ROUTES)
    assert all(operation["description"] for methods in paths.values() for operation in methods.values())


@pytest.mark.parametrize("way", [way for way in ROUTES if way[0] in ("POST", "PUT", "PATCH")])
def test_what_is_sent_has_a_declared_body(way: tuple[str, str]) -> None:
    assert (body_of(way, ROUTES[way]) is not None) is not (way in FORMS or way in NO_BODY)


def cases(operation: Any, mode: Any) -> list[Any]:
    """Calls as the document would have them, or as it would not."""
    found: list[Any] = []

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    return found


async def test_nothing_breaks_it(compute: Compute, receiver: Receiver) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    described = document(ROUTES, "http://cloud/freehold")
    object.__setattr__(compute.api.cloud, "enrolls", False)  # there is no directory
    schema, count = schemathesis.openapi.from_dict(described), 0
    for result in schema.get_all_operations():
        operation = result.ok()
        allowed = described["paths"][operation.path][operation.method.lower()]["responses"]
        modes = [schemathesis.GenerationMode.POSITIVE]
        modes += [schemathesis.GenerationMode.NEGATIVE] if operation.query or operation.body else []
        for case in (case for mode in modes for case in cases(operation, mode)):
            for client in (compute.member, compute.admin):
                status = await (opened if case.path.endswith("/events") else called)(client, case)
                count += 1
                assert status < 500, (case.method, case.path, case.path_parameters, case.query, case.body)
                assert str(status) in allowed or 200 <= status < 300, (status, case.method, case.path)
    assert count > 300


async def opened(client: Client, case: Any) -> int:
    """A stream, that one leaves when it has begun."""
    reader = Reader(client.app)
    reader.open(place(case), client.headers)
    await reader.until(lambda reader: reader.status)
    await reader.leave()
    return reader.status


def place(case: Any) -> str:
    path = "/freehold" + case.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe="") or "-")
    query = urlencode({str(key): str(value) for key, value in (case.query or {}).items()}, errors="replace")
    return f"{path}?{query}" if query else path


async def called(client: Client, case: Any) -> int:
    body = case.body if isinstance(case.body, dict | list | str | int | float | bool) else b""
    return (await client.ask(case.method, place(case), body)).status
