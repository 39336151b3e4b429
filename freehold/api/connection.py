"""A client's connection: uvicorn's, with a gate before it.

uvicorn makes a task for each request, and everything else happens in it. Here a request that is refused at the gate is
answered as soon as it has come whole: no task, nothing kept of its body, and the connection goes on. Only requests of
the plainest form are; whatever is unusual about one, it goes the usual way and is refused there.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from freehold.api.call import BODY_DEADLINE_S, JSON_BYTES_MAX
from freehold.api.gate import ENTERED, Gate, Refused


class Connection(HttpToolsProtocol):
    """One of them. `gate` gives None as long as there is none."""

    def __init__(self, gate: Callable[[], Gate | None], **given: Any) -> None:
        super().__init__(**given)
        self._gate = gate
        self._refused: Refused | None = None
        """What is answered to the request that is being read."""
        self._deadline: asyncio.TimerHandle | None = None

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._unset_keepalive_if_required()  # a refusal before, in the same piece, has set it
        gate = self._gate()
        if gate is None or not gate.concerns(self.parser.get_method(), self.url) or not self._is_plain():
            super().on_headers_complete()
            return
        asked = gate.asked(self.headers)
        if isinstance(asked, Refused):
            self._refused = asked
            return
        self.scope["extensions"] = {ENTERED: asked}  # type: ignore[dict-item]  # theirs hold nothing
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        if self._refused is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._refused is None:
            super().on_message_complete()
            return
        self._answer(self._refused)
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        super().data_received(data)
        if self._refused is not None and self._deadline is None:
            self._deadline = self.loop.call_later(BODY_DEADLINE_S, self._cut_off)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._over()
        super().connection_lost(exc)

    def _is_plain(self) -> bool:
        """Whether nothing before it is in progress, and it is a request of HTTP/1.1 with a body of a known length."""
        cycle: RequestResponseCycle | None = self.cycle
        if (cycle is not None and not cycle.response_complete) or self.flow.write_paused:
            return False
        length = b""
        for name, value in self.headers:
            if name == b"content-length":
                length = value
            elif name in _UNUSUAL:
                return False
        if not length.isdigit() or len(length) > _DIGITS or int(length) > JSON_BYTES_MAX:
            return False
        return self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()

    def _answer(self, refused: Refused) -> None:
        self._over()
        self.server_state.total_requests += 1
        lines = [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join((STATUS_LINE[refused.status], *lines, refused.head, b"\r\n", refused.body)))

    def _cut_off(self) -> None:
        """The body didn't come."""
        if self._refused is not None and not self.transport.is_closing():
            self._answer(self._refused)
            self.transport.close()

    def _over(self) -> None:
        self._refused = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


_UNUSUAL: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
_DIGITS: Final = 10
