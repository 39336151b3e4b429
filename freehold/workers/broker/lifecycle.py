"""What a server of the bus is told, and what news changes that. Pure.

roll        heard, older than the one held         nothing
            heard, with other accounts             held, and the server is told
            heard, newer and the same              held
            heard, of another authority            refused
"""

import json
import re
from dataclasses import dataclass
from typing import Final

from freehold.vocabulary.machine import Roll
from freehold.vocabulary.secret import Secret

CONFIGURATION: Final = "server.conf"
CREDENTIALS: Final = "credentials"
PING_S: Final = 5
PINGS_UNANSWERED_MAX: Final = 2
"""A connection that is silent for longer than this times `PING_S` is ended."""
ROUTE_USER: Final = "freehold"
_TEXT: Final = re.compile(r"[A-Za-z0-9_.-]+")
"""What tickets and names of accounts are made of: nothing else comes into a configuration from the bus."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files (PEM) that the server is known by, and that it knows other servers by."""

    certificate: str
    key: str
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is, and whom it is connected to. Addresses are HOST:PORT."""

    name: str
    cluster: str
    listen: str
    link_listen: str = ""
    """Where servers of other clusters are linked to this one."""
    link_advertised: str = ""
    """Where they are told that it is; empty: the same."""
    hub: tuple[str, ...] = ()
    """The servers that this one is linked to: ``nats://HOST:PORT``, ``tls://HOST:PORT``."""
    route_listen: str = ""
    routes: tuple[str, ...] = ()
    """Where the other servers of this cluster are (HOST:PORT)."""
    tls: Tls | None = None
    ca: str = ""
    """Who vouches for the hub's servers."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What the server is told of others, and is known to others by."""

    roll: Roll
    route: Secret
    """The password by which the servers of the cluster know each other."""
    credentials: Secret
    """Its machine's ticket and key, to be linked with."""
    max_ticket_bytes: int


def is_sound(roll: Roll, machines: str) -> bool:
    """Whether a roll is of our authority (whose account is `machines`), and can be put into a configuration."""
    texts = [roll.charter, *(text for pair in roll.accounts for text in pair)]
    return bool(roll.accounts) and roll.accounts[0][0] == machines and all(_TEXT.fullmatch(text) for text in texts)


def newer(held: Roll, heard: Roll) -> bool:
    """Whether the roll that was heard is to be held from now on."""
    return heard.time > held.time


def changes(held: Roll, heard: Roll) -> bool:
    """Whether the server must be told."""
    return (held.charter, held.accounts) != (heard.charter, heard.accounts)


def files(place: Place, keys: Keys, folder: str) -> dict[str, Secret]:
    """The server's files, in `folder`."""
    lines = [
        f"server_name: {_quoted(place.name)}",
        f"listen: {_quoted(place.listen)}",
        f"operator: {keys.roll.charter}",
        "resolver: MEMORY",
        "resolver_preload: {",
        *(f"  {name}: {text}" for name, text in keys.roll.accounts),
        "}",
        f"max_control_line: {keys.max_ticket_bytes}",
        f'ping_interval: "{PING_S}s"',
        f"ping_max: {PINGS_UNANSWERED_MAX}",
        *_tls(place.tls),
        *_links(place, keys.roll.accounts[0][0], folder),
        *_routes(place, keys.route),
    ]
    found = {CONFIGURATION: Secret("\n".join(lines) + "\n")}
    return found | ({CREDENTIALS: keys.credentials} if place.hub else {})


def _links(place: Place, account: str, folder: str) -> list[str]:
    lines = []
    if place.link_listen:
        lines += [f"  listen: {_quoted(place.link_listen)}", *(f"  {line}" for line in _tls(place.tls))]
        lines += [f"  advertise: {_quoted(place.link_advertised)}"] if place.link_advertised else []
    if place.hub:
        urls = ", ".join(_quoted(url) for url in place.hub)
        secured = [f"tls {{ ca_file: {_quoted(place.ca)} }}"] if place.ca else []
        remote = [
            f"urls: [{urls}]",
            f"account: {account}",
            f"credentials: {_quoted(f'{folder}/{CREDENTIALS}')}",
            *secured,
        ]
        lines += ["  reconnect: 1", "  remotes: [ {", *(f"    {line}" for line in remote), "  } ]"]
    return ["leafnodes {", *lines, "}"] if lines else []


def _routes(place: Place, password: Secret) -> list[str]:
    if not place.route_listen:
        return []
    known = f"{ROUTE_USER}:{password.reveal()}"
    routes = ", ".join(_quoted(f"nats://{known}@{route}") for route in place.routes)
    return [
        "cluster {",
        f"  name: {_quoted(place.cluster)}",
        f"  listen: {_quoted(place.route_listen)}",
        f"  authorization {{ user: {ROUTE_USER}, password: {_quoted(password.reveal())} }}",
        f"  routes: [{routes}]",
        "  no_advertise: true",
        *(f"  {line}" for line in _tls(place.tls)),
        "}",
    ]


def _tls(tls: Tls | None) -> list[str]:
    if tls is None:
        return []
    ca = f", ca_file: {_quoted(tls.ca)}" if tls.ca else ""
    return [f"tls {{ cert_file: {_quoted(tls.certificate)}, key_file: {_quoted(tls.key)}{ca} }}"]


def _quoted(text: str) -> str:
    return json.dumps(text)
