"""How a Swift account is entered: by Keystone (v3) with a password or an application credential, or by Swift itself."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from freehold.vocabulary.errors import BadRequest, Unavailable
from freehold.vocabulary.place import SWIFT_V1, Place
from freehold.vocabulary.secret import Secret

_SERVICE: Final = "object-store"


@dataclass(frozen=True, slots=True, eq=False)
class Granted:
    """What opens the account, until it has run out; and the account's URL."""

    token: Secret
    account_url: str


Login = Callable[[aiohttp.ClientSession], Awaitable[Granted]]


class _Endpoint(msgspec.Struct):
    interface: str
    url: str
    region: str | None = None


class _Service(msgspec.Struct):
    type: str
    endpoints: list[_Endpoint] = []


class _Token(msgspec.Struct):
    catalog: list[_Service] = []


class _Body(msgspec.Struct):
    token: _Token


def login_of(place: Place, secrets: Mapping[str, Secret]) -> Login:
    """The way in that a place names. Raises BadRequest where the file of secrets lacks what it takes.

    A way in raises Unavailable where nobody is let in, and what a connection raises that comes to nothing.
    """
    options = place.options
    wanted = "application_credential_secret" if "application_credential" in options else "password"
    if wanted not in secrets:
        raise BadRequest(f"{place.shown()} needs {wanted} in its file of secrets")
    secret, url = secrets[wanted], options["auth"].rstrip("/")
    if url.endswith(SWIFT_V1):
        return lambda http: _by_v1(http, url, options["user"], secret)
    url = url if url.endswith("/v3") else f"{url}/v3"
    body = _identity(options, secret)
    return lambda http: _by_keystone(http, f"{url}/auth/tokens", body, options)


async def _by_v1(http: aiohttp.ClientSession, url: str, user: str, key: Secret) -> Granted:
    headers = {"X-Auth-User": user, "X-Auth-Key": key.reveal()}
    async with http.get(url, headers=headers, allow_redirects=False) as answer:
        _let_in(url, answer, 200, 204)
        return _granted(url, answer.headers.get("X-Auth-Token"), answer.headers.get("X-Storage-Url"))


async def _by_keystone(http: aiohttp.ClientSession, url: str, body: Any, options: Mapping[str, str]) -> Granted:
    async with http.post(url, json=body, allow_redirects=False) as answer:
        _let_in(url, answer, 200, 201)
        token = answer.headers.get("X-Subject-Token")
        try:
            catalog = msgspec.json.decode(await answer.read(), type=_Body).token.catalog
        except msgspec.DecodeError as error:
            raise Unavailable(f"{url} doesn't answer as Keystone does: {error}. Look at auth.") from error
    return _granted(url, token, _account_url(catalog, options))


def _identity(options: Mapping[str, str], secret: Secret) -> dict[str, Any]:
    """See https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management."""
    if "application_credential" in options:
        credential = {"id": options["application_credential"], "secret": secret.reveal()}
        return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": credential}}}
    domain = {"name": options.get("user_domain", "Default")}
    user = {"name": options["user"], "domain": domain, "password": secret.reveal()}
    project = {"name": options["project"], "domain": {"name": options.get("project_domain", "Default")}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


def _account_url(catalog: list[_Service], options: Mapping[str, str]) -> str:
    interface, region = options.get("interface", "public"), options.get("region")
    for service in catalog:
        for endpoint in service.endpoints if service.type == _SERVICE else ():
            if endpoint.interface == interface and region in (None, endpoint.region):
                return endpoint.url
    where = f" in region {region}" if region else ""
    raise Unavailable(
        f"Keystone's catalog has no {interface} endpoint of {_SERVICE}{where}. Look at region, interface."
    )


def _let_in(url: str, answer: aiohttp.ClientResponse, *good: int) -> None:
    if answer.status in good:
        return
    if answer.status >= 500 or answer.status in (408, 429):
        raise ConnectionError(f"{url} answered {answer.status}")
    if answer.status in (401, 403):
        raise Unavailable(f"{url} lets nobody in with this user and secret. Look at both, and at the project.")
    raise Unavailable(f"{url} answered {answer.status} where a token was asked for. Look at auth.")


def _granted(url: str, token: str | None, account_url: str | None) -> Granted:
    if not token or not account_url:
        raise Unavailable(f"{url} gave no token, or no account. Look at auth.")
    return Granted(Secret(token), account_url.rstrip("/"))
