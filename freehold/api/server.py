"""The one path of a request: table, caller, policy, body, function, answer. Errors leave in their door's format."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from freehold.api import faults
from freehold.api.admission import Admission, Slot, of_project
from freehold.api.call import AS_OF, BODY_DEADLINE_S, JSON_BYTES_MAX, Answer, Call, Door, Query, Route
from freehold.api.caller import ANONYMOUS, Tokens
from freehold.api.cloud import Cloud
from freehold.api.compute.routes import DOOR as COMPUTE
from freehold.api.discovery import root_door
from freehold.api.gate import Gate
from freehold.api.identity.routes import DOOR as IDENTITY
from freehold.api.image.routes import DOOR as IMAGE
from freehold.api.native.routes import DOOR as NATIVE
from freehold.api.network.routes import DOOR as NETWORK
from freehold.api.policy import Rule, check, rule_of
from freehold.api.volume.routes import DOOR as VOLUME
from freehold.runtime.chance import new_id
from freehold.runtime.log import logger
from freehold.vocabulary.errors import BadRequest, FreeholdError, NoAnswer, NotFound, TooLarge

TAKE_DEADLINE_S: Final = 30.0
"""How long a reader of events may take nothing, when more is there than fits on the way to it."""
EVENTS: Final = "text/event-stream"
_WITHOUT_LENGTH: Final = frozenset({204, 304})
"""Answers that have no body, and don't say so: RFC 9110, section 8.6."""

_log = logger("api")


def application(cloud: Cloud) -> "Server":
    """The API of `cloud`, to be run by an ASGI server. The view must be open before and stay so."""
    return Server(cloud, (IDENTITY, COMPUTE, IMAGE, NETWORK, VOLUME, NATIVE))


@dataclass(slots=True)
class _Node:
    """A step of the table: literal parts before the one that takes any text."""

    parts: dict[str, "_Node"] = field(default_factory=dict)
    any: "_Node | None" = None
    name: str = ""
    routes: dict[str, Route] = field(default_factory=dict)


class Table:
    """The routes of a door as a tree, found part by part. A literal part is preferred to a name in braces."""

    def __init__(self, routes: Mapping[tuple[str, str], Route]) -> None:
        self._root = _Node()
        for (method, pattern), route in routes.items():
            rule_of(route.policy)
            self._add(pattern).routes[method] = route

    def _add(self, pattern: str) -> _Node:
        node = self._root
        for part in filter(None, pattern.split("/")):
            if part.startswith("{"):
                node.any = node.any or _Node(name=part[1:-1])
                assert node.any.name == part[1:-1], f"{pattern}: one place, one name"
                node = node.any
            else:
                node = node.parts.setdefault(part, _Node())
        return node

    def find(self, method: str, parts: list[str]) -> tuple[Route, dict[str, str]]:
        """The route of a path and what its names stand for. Raises NotFound, or HttpRefusal 405 for another method."""
        params: dict[str, str] = {}
        node = self._walk(self._root, parts, params)
        if node is None:
            raise NotFound("The resource could not be found.")
        route = node.routes.get(method) or (node.routes.get("GET") if method == "HEAD" else None)
        if route is None:
            allowed = {"allow": ", ".join(sorted(node.routes))}
            raise faults.HttpRefusal(405, f"The method {method[:32]} is not allowed for this resource.", allowed)
        return route, params

    def _walk(self, node: _Node, parts: list[str], params: dict[str, str]) -> _Node | None:
        if not parts:
            return node if node.routes else None
        literal = node.parts.get(parts[0])
        found = self._walk(literal, parts[1:], params) if literal else None
        if found is None and node.any is not None:
            found = self._walk(node.any, parts[1:], params)
            if found is not None:
                params[node.any.name] = parts[0]
        return found


class Server:
    """The ASGI application over some doors."""

    def __init__(self, cloud: Cloud, doors: tuple[Door, ...]) -> None:
        self._cloud, self._tokens = cloud, Tokens(cloud)
        self._root = root_door(doors)
        self._doors = {door.name: door for door in doors}
        self._tables = {door.name: Table(door.routes) for door in (*doors, self._root)}
        self.calls = Admission(cloud.limits.calls, "requests")
        self.transfers = Admission(cloud.limits.transfers, "transfers")
        self.waits = Admission(cloud.limits.waits, "waiting requests")
        self.streams = Admission(cloud.limits.streams, "streams of events")
        self.guests = Admission(cloud.limits.guests, "requests for servers")
        self.lanes = {
            "calls": self.calls,
            "transfers": self.transfers,
            "waits": self.waits,
            "streams": self.streams,
            "guests": self.guests,
        }
        self.gate = Gate(cloud, self._tokens, self.guests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Request(scope, receive), send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, request: Request, send: Send) -> None:
        began, entered = self._cloud.clock.clock.monotonic_s(), self.gate.arrived(request.scope)
        door, parts, path = self._entered(request)
        call = Call(
            cloud=self._cloud,
            method=request.method,
            door=door.name,
            path=path,
            query=Query(""),
            headers=_headers(request),
            request_id=f"req-{new_id(self._cloud.chance)}",
            tokens=self._tokens,
            entered=entered,
            chunks=lambda: _chunks(request),
            gone=lambda: _gone(request),
        )
        with ExitStack() as admitted:  # until the last byte is sent
            try:
                answer = await self._answer(door, parts, call, request, admitted)
            except ClientDisconnect:
                return
            except asyncio.CancelledError:  # the process is stopped, and has waited for this call long enough
                error = NoAnswer("This API is being stopped. Look whether it was done before you ask again.")
                answer = self._failed(door, call, faults.status_of(error, door.fault), error.message, error)
                await self._send(door, call, answer, request, send)
                raise
            await self._send(door, call, answer, request, send)
        took_ms = round((self._cloud.clock.clock.monotonic_s() - began) * 1000, 1)
        _log.info(
            "request",
            method=call.method,
            door=door.name,
            path=path[:200],
            status=answer.status,
            ms=took_ms,
            id=call.request_id,
        )

    def _entered(self, request: Request) -> tuple[Door, list[str], str]:
        """The door, the decoded parts of the path behind its mount, and that path as it came."""
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        parts = [part for part in raw.split(b"?")[0].decode("latin-1").split("/") if part]
        door = self._doors.get(parts[0]) if parts else None
        behind = parts[1:] if door else parts
        path = "".join(f"/{part}" for part in behind)
        return door or self._root, [unquote(part) for part in behind], path

    async def _answer(self, door: Door, parts: list[str], call: Call, request: Request, admitted: ExitStack) -> Answer:
        try:
            route, call.params = self._tables[door.name].find(call.method, parts)
            call.query = Query(request.scope["query_string"].decode("latin-1"))
            await self._let_in(route, call)
            await self._admit(route, call, request, admitted)
            if not route.streams:
                call.body = await _whole_body(request)
            return await route.serve(call)
        except FreeholdError as error:
            status = faults.status_of(error, door.fault)
            if status >= 500:
                _log.warning("request failed", path=call.path[:200], error=error.message, id=call.request_id)
            return self._failed(door, call, status, error.message, error)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  # a defect of ours must not end the connection unanswered
            _log.error("request broke", path=call.path[:200], id=call.request_id, exc_info=error)
            message = f"An unexpected error happened; it is in the log under {call.request_id}."
            return self._failed(door, call, 500, message, None)

    async def _let_in(self, route: Route, call: Call) -> None:
        rule = rule_of(route.policy)
        token = call.headers.get("x-auth-token", "")
        call.caller = await self._tokens.caller(token) if token and rule is not Rule.ANYONE else ANONYMOUS
        check(rule, call.caller)
        if AS_OF in call.headers and not route.knows_past:
            raise BadRequest("only servers and their lists can be asked as of a moment; leave Freehold-As-Of out")

    async def _admit(self, route: Route, call: Call, request: Request, admitted: ExitStack) -> None:
        """Waits until the call may be served. Raises HttpRefusal 429 or Unavailable where that would be too long."""
        client = request.client
        who = of_project(call.caller.project) or f"address {client.host if client else ''}"
        lane = self._lane(route)
        await lane.enter(who)
        slot = Slot(lane, who)
        admitted.callback(slot.leave)
        call.park = lambda: slot.change(self.waits)

    def _lane(self, route: Route) -> Admission:
        if route.asks_for_guests:
            return self.guests
        return self.streams if route.sends_events else self.transfers if route.is_transfer else self.calls

    def _failed(self, door: Door, call: Call, status: int, message: str, error: FreeholdError | None) -> Answer:
        parts = call.path.split("/")
        failure = faults.Failure(status, message, error, parts[2] if len(parts) > 2 else "", call.request_id)
        headers = faults.headers_of(error, self._cloud.public_url) if error else {}
        return Answer(status, door.fault(failure), headers)

    async def _send(self, door: Door, call: Call, answer: Answer, request: Request, send: Send) -> None:
        headers = {**door.headers(call), **answer.headers, "x-openstack-request-id": call.request_id}
        if answer.stream is None or call.method == "HEAD":
            await _send_plain(answer, headers, send, with_body=call.method != "HEAD")
        elif answer.content_type == EVENTS:
            await _send_events(answer.stream, headers, request, send)
        else:
            response = StreamingResponse(answer.stream, answer.status, headers, answer.content_type)
            await response(request.scope, request.receive, send)


async def _send_plain(answer: Answer, headers: dict[str, str], send: Send, *, with_body: bool) -> None:
    body = answer.payload()
    if body and "content-type" not in headers:
        headers["content-type"] = answer.content_type
    if "content-length" not in headers and answer.status not in _WITHOUT_LENGTH:
        headers["content-length"] = str(len(body))
    await send({"type": "http.response.start", "status": answer.status, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": body if with_body else b""})


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def _send_events(parts: AsyncIterator[bytes], headers: dict[str, str], request: Request, send: Send) -> None:
    """Sends a stream of events until it ends, the client is gone, or takes nothing for `TAKE_DEADLINE_S`."""
    given = {**headers, "content-type": f"{EVENTS}; charset=utf-8"}
    raw = _raw(given)

    async def pump() -> None:
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        async with aclosing(parts) as open_parts:  # type: ignore[type-var]
            async for part in open_parts:
                async with asyncio.timeout(TAKE_DEADLINE_S):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    tasks = asyncio.ensure_future(pump()), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended, _ = await asyncio.gather(*tasks, return_exceptions=True)
    if isinstance(ended, TimeoutError):
        _log.info("a reader of events took nothing and was cut off", path=request.scope["path"][:200])
    elif isinstance(ended, Exception):
        _log.error("a stream of events broke", path=request.scope["path"][:200], exc_info=ended)


async def _live(receive: Receive, send: Send) -> None:
    """What an ASGI server tells about its own start and end; nothing here depends on it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _declared_bytes(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise BadRequest("the Content-Length header must be a whole number")
    return int(text)


async def _whole_body(request: Request) -> bytes:
    declared, headers = _declared_bytes(request), request.headers
    may_have_one = "content-length" not in headers and request.method not in ("GET", "HEAD")
    if not declared and not may_have_one and "transfer-encoding" not in headers:
        return b""  # see RFC 9112, section 6.3
    if declared > JSON_BYTES_MAX:
        raise TooLarge(f"the body is longer than {JSON_BYTES_MAX} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > JSON_BYTES_MAX:
                    raise TooLarge(f"the body is longer than {JSON_BYTES_MAX} bytes")
    except TimeoutError as error:
        raise faults.HttpRefusal(408, f"the body didn't arrive within {BODY_DEADLINE_S:.0f} seconds") from error
    return bytes(body)


def _headers(request: Request) -> dict[str, str]:
    """By name in lower case; several of one name are one with several values."""
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
    return found


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
