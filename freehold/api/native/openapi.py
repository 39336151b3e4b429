"""The OpenAPI document of Freehold's own door, made from its table of routes and the bodies that their modules declare.

A body belongs to the routes that the first line of its docstring names. What can be asked for in the query stands in
`QUERY`, beside the routes that read it.
"""

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

import freehold
from freehold.api.call import Answer, Body, Call, Route, Routes
from freehold.api.policy import Rule, rule_of

VERSION: Final = "3.1.0"
FORM: Final = "application/x-www-form-urlencoded"
_REFS: Final = "#/components/schemas/{name}"
_TEXT: Final[dict[str, Any]] = {"type": "string", "maxLength": 255}
_FLAG: Final[dict[str, Any]] = {"type": "boolean"}

QUERY: Final[Mapping[tuple[str, str], Mapping[str, dict[str, Any]]]] = {
    ("GET", "/v1/requests"): {
        "action": _TEXT,
        "guest": _TEXT,
        "outcome": {"type": "string", "enum": ["in_progress", "done", "failed"]},
        "limit": {"type": "integer", "minimum": 0, "maximum": 1000},
        "marker": _TEXT,
        "all_projects": _FLAG,
    },
    ("DELETE", "/v1/hosts/{id}"): {"dead": _FLAG},
    ("DELETE", "/v1/hosts/{id}/fence"): {"seen": _TEXT},
    ("GET", "/v1/webhooks"): {"all_projects": _FLAG},
    ("GET", "/v1/feeds/{id}"): {"key": _TEXT},
    ("GET", "/v1/events"): {"last_event_id": _TEXT},
    ("GET", "/v1/guests/{id}/events"): {"last_event_id": _TEXT},
    ("GET", "/v1/requests/{urn}/events"): {"last_event_id": _TEXT},
}
"""What the query of a route may say."""

FORMS: Final[Mapping[tuple[str, str], dict[str, Any]]] = {
    ("POST", "/v1/hub"): {
        "type": "object",
        "required": ["hub.mode", "hub.topic", "hub.callback"],
        "properties": {
            "hub.mode": {"type": "string", "enum": ["subscribe", "unsubscribe"]},
            "hub.topic": {"type": "string"},
            "hub.callback": {"type": "string", "maxLength": 1000},
            "hub.lease_seconds": {"type": "integer", "minimum": 0},
            "hub.secret": {"type": "string", "maxLength": 199},
        },
    }
}
"""What is sent as a form, where a standard wants that."""

NO_BODY: Final = frozenset(
    {
        ("POST", "/v1/webhooks/{id}/secret"),
        ("POST", "/v1/webhooks/{id}/ping"),
        ("POST", "/v1/webhooks/{id}/deliveries/{delivery}/resend"),
    }
)
"""What is asked by its path alone."""

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "title", "message"],
            "properties": {
                "code": {"type": "integer"},
                "title": {"type": "string"},
                "message": {"type": "string"},
            },
        }
    },
}


def shower(routes: Callable[[], Routes]) -> Callable[[Call], Any]:
    """The function that serves GET /v1/openapi.json for a door's table, which it is itself in."""

    async def show(call: Call) -> Answer:
        """GET /v1/openapi.json: this document."""
        return Answer(body=document(routes(), call.base_url))

    return show


def document(routes: Routes, url: str) -> dict[str, Any]:
    """The document of a table of routes that are reached behind `url`."""
    shapes = {way: body for way, route in routes.items() if (body := body_of(way, route)) is not None}
    schemas, parts = msgspec.json.schema_components(shapes.values(), ref_template=_REFS)
    # A default may be a tuple, which JSON doesn't have.
    schemas, parts = msgspec.json.decode(msgspec.json.encode((schemas, parts)))
    bodies = dict(zip(shapes, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), route in sorted(routes.items()):
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, route, bodies.get((method, path)))
    return {
        "openapi": VERSION,
        "info": {"title": "Freehold's own API", "version": freehold.__version__},
        "servers": [{"url": url}],
        "paths": paths,
        "components": {
            "schemas": {**parts, "Error": _ERROR},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def body_of(way: tuple[str, str], route: Route) -> type[Body] | None:
    """The body that a route reads: the one in its function's module whose docstring begins with its way."""
    declared = vars(sys.modules[route.serve.__module__]).values()
    bodies = (one for one in declared if inspect.isclass(one) and issubclass(one, Body) and one is not Body)
    return next((one for one in bodies if _names(one, " ".join(way))), None)


def _names(body: type[Body], way: str) -> bool:
    return re.match(rf"{re.escape(way)}(?![\w/{{])", inspect.getdoc(body) or "") is not None


def _operation(method: str, path: str, route: Route, body: dict[str, Any] | None) -> dict[str, Any]:
    doc = " ".join((inspect.getdoc(route.serve) or "").split())
    told = re.sub(r"^[A-Z]+ \S+[:.,]?\s*", "", doc) or doc
    operation: dict[str, Any] = {
        "operationId": f"{route.serve.__module__.rpartition('.')[2]}.{route.serve.__name__}",
        "description": told,
        "parameters": _parameters(method, path),
        "responses": _responses(route),
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if (form := FORMS.get((method, path))) is not None:
        operation["requestBody"] = {"required": True, "content": {FORM: {"schema": form}}}
    if rule_of(route.policy) is not Rule.ANYONE:
        operation["security"] = [{"token": []}]
    return operation


def _parameters(method: str, path: str) -> list[dict[str, Any]]:
    named = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    asked = QUERY.get((method, path), {})
    return named + [{"name": name, "in": "query", "schema": schema} for name, schema in asked.items()]


def _responses(route: Route) -> dict[str, Any]:
    kind = "text/event-stream" if route.sends_events else "application/json"
    schema = {"type": "string"} if route.sends_events else {"type": "object"}
    problem = {"application/json": {"schema": {"$ref": _REFS.format(name="Error")}}}
    refused = ["400", "404", "405", "409", "413", "429", "503"]
    if rule_of(route.policy) is not Rule.ANYONE:
        refused += ["401", "403"]
    return {
        "2XX": {"description": "It is done, or under way.", "content": {kind: {"schema": schema}}},
        **{code: {"description": HTTPStatus(int(code)).phrase, "content": problem} for code in sorted(refused)},
    }
