"""A client of a running cloud's API, as its admin."""

from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from freehold.cli.credentials import Admin
from freehold.vocabulary.errors import Conflict, NotFound, Unavailable

DEADLINE_S = 60.0


class Client:
    """Signs in when it is entered. Every call raises NotFound, Conflict, or Unavailable with what the cloud said."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._headers: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(self._admin.url, timeout=aiohttp.ClientTimeout(total=DEADLINE_S))
        try:
            await self._sign_in()
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str) -> Any:
        """The body of a GET."""
        return await self._call("GET", path)

    async def post(self, path: str, body: Any) -> Any:
        """The body of the answer to a POST of JSON."""
        return await self._call("POST", path, json=body)

    async def put_json(self, path: str, body: Any) -> Any:
        """The body of the answer to a PUT of JSON."""
        return await self._call("PUT", path, json=body)

    async def delete(self, path: str) -> Any:
        """Deletes what is at the path; the answer, if there is one. Raises NotFound if there is nothing."""
        return await self._call("DELETE", path)

    async def put(self, path: str, data: aiohttp.Payload) -> Any:
        """The answer to a PUT of bytes."""
        return await self._call("PUT", path, data=data)

    async def _sign_in(self) -> None:
        admin = self._admin
        user = {"name": admin.user, "domain": {"id": "default"}, "password": admin.password.reveal()}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": admin.project, "domain": {"id": "default"}}}
        await self._call("POST", "/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        try:
            async with self._session.request(method, path, headers=self._headers, **more) as answer:
                token = answer.headers.get("X-Subject-Token")
                if token:
                    self._headers["X-Auth-Token"] = token
                return await _body(answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            where = self._admin.url
            raise Unavailable(f"the cloud at {where} can't be reached ({error}); is `freehold up` running?") from error


async def _body(answer: aiohttp.ClientResponse) -> Any:
    text = await answer.text()
    if answer.status == 409:
        raise Conflict(f"the cloud refuses: {_sentence(text)}")
    if answer.status == 404:
        raise NotFound(f"the cloud doesn't know that: {_sentence(text)}")
    if answer.status >= 400:
        raise Unavailable(f"the cloud answered {answer.status}: {_sentence(text)}")
    return await answer.json() if text and answer.content_type == "application/json" else text


def _sentence(text: str) -> str:
    """What an error's body says, for a person: its message, wherever it is; or the body itself."""
    try:
        body = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text[:500]
    inner = next(iter(body.values()), None) if isinstance(body, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else None
    return message[:1000] if isinstance(message, str) else text[:500]
