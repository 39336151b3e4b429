"""Who is sent away at the gate: before there is a task, a token, a body or a line in the log for it.

A refusal costs what is missing for those who were let in, so requests for guests, of which there may be ten times as
many as can be made, are refused where the least was done for them: when the head of the request has been read. Only
they are: other calls are cheap, and some of them end what keeps the cloud busy. What is said is what would be said
further in, in the same words; who asks with a token that isn't good may be told to come again rather than to sign in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from freehold.api import faults
from freehold.api.admission import Admission, of_project
from freehold.api.call import Call, Query
from freehold.api.caller import Tokens
from freehold.api.cloud import Cloud
from freehold.api.compute.microversion import NAMES, headers
from freehold.runtime.chance import new_id
from freehold.runtime.log import logger
from freehold.vocabulary.errors import Busy, FreeholdError

PATH: Final = b"/compute/v2.1/servers"
ENTERED: Final = "freehold.entered"
"""The extension of an ASGI scope that says that a request came through the gate, and of which shard it took a place."""
PREPARED_MAX: Final = 256

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""

_log = logger("api")


@dataclass(frozen=True, slots=True)
class Let:
    """A request that may go on."""

    shard: int | None
    """Of which it has taken a place; None: its token wasn't seen before."""


@dataclass(slots=True)
class Refused:
    """One that may not: the lines of the answer's head behind the first, and its body."""

    status: int
    head: bytes
    body: bytes


class Gate:
    """Of one API process."""

    def __init__(self, cloud: Cloud, tokens: Tokens, lane: Admission) -> None:
        self._cloud, self._tokens, self._lane = cloud, tokens, lane
        self._coming = 0
        """Requests that were let through, and that nobody has begun to serve yet."""
        self.refused = 0
        """Since this process began."""
        self._prepared: dict[tuple[str, bytes | None, bytes | None], Refused] = {}
        self._ids = new_id(cloud.chance).rpartition("-")[0].encode()

    def concerns(self, method: bytes, target: bytes) -> bool:
        """Whether it is for the gate to look at a request."""
        return method == b"POST" and target.startswith(PATH) and target[len(PATH) :] in (b"", b"/")

    def asked(self, given: Headers) -> Let | Refused:
        """A request for guests has come. Each that is let through must go on to `arrived`."""
        read = dict(given)
        project = self._tokens.project_of(read.get(b"x-auth-token", b"").decode("latin-1"))
        error = self._lane.refuses(of_project(project or ""), self._coming)
        shard = self._shard(project)
        if error is None and shard is not None:
            try:
                self._cloud.backlog.enter(shard)
            except Busy as busy:
                error = busy
                self._lane.refused += 1
        if error is None:
            self._coming += 1
            return Let(shard)
        return self._refusal(error, read)

    def arrived(self, scope: Any) -> int | None:
        """A request is being served; the shard of which it has taken a place, if it has."""
        let = (scope.get("extensions") or {}).get(ENTERED)
        if let is None:
            return None
        self._coming -= 1
        assert isinstance(let, Let)
        return let.shard

    def _shard(self, project: str | None) -> int | None:
        if self._cloud.shards.count == 1:
            return 0
        return None if project is None else self._cloud.shards.of(project)

    def _refusal(self, error: FreeholdError, read: dict[bytes, bytes]) -> Refused:
        self.refused += 1
        if self.refused.bit_count() == 1:
            _log.warning("requests for servers are refused at the gate", error=error.message, refused=self.refused)
        key = (error.message, read.get(_VERSION), read.get(_NOVA_VERSION))
        prepared = self._prepared.get(key)
        if prepared is None:
            if len(self._prepared) >= PREPARED_MAX:
                self._prepared.clear()
            prepared = self._prepared[key] = self._prepare(error, read)
        request_id = b"x-openstack-request-id: req-%s-%012x\r\n" % (self._ids, self.refused & 0xFFFFFFFFFFFF)
        return Refused(prepared.status, prepared.head + request_id, prepared.body)

    def _prepare(self, error: FreeholdError, read: dict[bytes, bytes]) -> Refused:
        versions = {name: read[name.encode()].decode("latin-1") for name in NAMES if name.encode() in read}
        call = Call(self._cloud, "POST", "compute", "/v2.1/servers", Query(""), versions, "", self._tokens)
        status = faults.status_of(error, faults.nova)
        body = msgspec.json.encode(faults.nova(faults.Failure(status, error.message, error, "servers", "")))
        told = {
            **headers(call),
            **faults.headers_of(error, self._cloud.public_url),
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items()).encode("latin-1")
        return Refused(status, head, body)


_VERSION, _NOVA_VERSION = (name.encode() for name in NAMES)
