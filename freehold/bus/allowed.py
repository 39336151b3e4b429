"""Which subjects a machine may speak on, by its roles: one table, held by the broker and by everybody who hears.

A host speaks of itself alone and hears its own commands and what its cluster's network workers tell. ``{store}`` stands
for each store of the machine, ``{cluster}`` for its cluster. What one may be asked is in `subjects`.

A cluster's own server speaks, over its link to the centre, for the hosts and network workers of that cluster.
"""

from functools import lru_cache
from typing import Final

from freehold.bus.local import matches
from freehold.vocabulary.machine import Passport

_OWN: Final = (
    "freehold.event.{cluster}.ROLE.{store}",
    "freehold.heartbeat.{cluster}.ROLE.{store}",
)
_READ: Final = ("freehold.owner.*.ROLE.*", "freehold.hello.ROLE")
_READ_HERE: Final = ("freehold.owner.{cluster}.ROLE.*", "freehold.hello.ROLE.{cluster}")
_READ_BY: Final = (
    "freehold.owner.{cluster}.ROLE.{store}",
    "freehold.hello.ROLE",
    "freehold.hello.ROLE.{cluster}",
)
"""What an owner hears of its readers."""


def _of(patterns: tuple[str, ...], *roles: str) -> tuple[str, ...]:
    return tuple(pattern.replace("ROLE", role) for role in roles for pattern in patterns)


def _owner(role: str) -> tuple[str, ...]:
    return _of(_OWN, role)


def _reader(*roles: str) -> tuple[str, ...]:
    return _of(_READ, *roles)


_EVERYBODY: Final = ("freehold.ask.passport",)
_EVERYBODY_HEARS: Final = ("freehold.barred",)

SPEAKS: Final[dict[str, tuple[str, ...]]] = {
    "directory": (*_owner("directory"), "freehold.barred", "freehold.roll"),
    "registrar": (
        *_owner("registrar"),
        *_reader("host", "volume"),
        "freehold.ask.registrar.*",
        "freehold.ask.image_offer.*",
        "freehold.ask.pools",
        "freehold.ask.pool.>",
        "freehold.ask.host.>",
        "freehold.build.image",
        "freehold.build.image.*",
        "freehold.build.network.>",
    ),
    "image": (*_owner("image"), "freehold.ask.ledger.*.image", "freehold.build.scheduler"),
    "scheduler": (
        *_reader("host", "registrar", "volume"),
        "freehold.ask.ledger.*.scheduler",
        "freehold.ask.host.>",
        "freehold.build.network.>",
    ),
    "network": (
        *_owner("network"),
        *_of(_READ_HERE, "host"),
        "freehold.beats.{cluster}.network.{store}",
        "freehold.ask.ledger.*.network",
        "freehold.build.host.*",
    ),
    "host": (
        *_owner("host"),
        *_of(_READ_HERE, "network"),
        "freehold.ask.beats.{cluster}.{store}",
        "freehold.ask.ledger.*.host.{store}",
        "freehold.ask.ledger.*.host.{cluster}.{store}",
        "freehold.ask.opening.*.{store}",
    ),
    "volume": (*_owner("volume"), "freehold.ask.ledger.*.volume", "freehold.ask.disk.*"),
    "api": (
        *_reader("directory", "registrar", "image", "network", "volume", "host", "notifier"),
        "freehold.ask.volume.>",
        "freehold.ask.directory",
        "freehold.ask.registrar.*",
        "freehold.ask.image",
        "freehold.ask.image.*",
        "freehold.ask.network.>",
        "freehold.ask.scheduler",
        "freehold.ask.notifier",
    ),
    "notifier": (*_owner("notifier"), *_reader("registrar", "image", "network", "volume", "host")),
    "broker": (),
}
"""What a machine with a role says: publications and questions."""


HEARS: Final[dict[str, tuple[str, ...]]] = {
    "directory": (
        *_of(_READ_BY, "directory"),
        "freehold.ask.directory",
        "freehold.ask.passport",
    ),
    "registrar": (
        *_of(_READ_BY, "registrar"),
        "freehold.ask.registrar.*",
        "freehold.ask.ledger.>",
        *(f"freehold.{what}.*.{role}.>" for what in ("event", "heartbeat") for role in ("host", "volume")),
        "freehold.beats.*.network.>",
    ),
    "image": (
        *_of(_READ_BY, "image"),
        "freehold.ask.image",
        "freehold.ask.image.{store}",
        "freehold.ask.image_offer.{store}",
        "freehold.build.image",
        "freehold.build.image.{store}",
    ),
    "scheduler": (
        "freehold.ask.scheduler",
        "freehold.ask.pools",
        "freehold.build.scheduler",
        *(f"freehold.{what}.*.{role}.>" for what in ("event", "heartbeat") for role in ("host", "registrar", "volume")),
        "freehold.beats.*.network.>",
    ),
    "network": (
        *_of(_READ_BY, "network"),
        "freehold.ask.network.{cluster}",
        "freehold.ask.network.{cluster}.*",
        "freehold.build.network.{cluster}",
        "freehold.build.network.{cluster}.*",
        "freehold.event.{cluster}.host.>",
        "freehold.heartbeat.{cluster}.host.>",
        "freehold.beats.{cluster}.network.>",
        "freehold.ask.beats.{cluster}.*",
    ),
    "host": (
        *_of(_READ_BY, "host"),
        "freehold.ask.host.{store}",
        "freehold.ask.host.{cluster}.{store}",
        "freehold.ask.disk.{store}",
        "freehold.build.host.{store}",
        "freehold.event.{cluster}.network.>",
        "freehold.heartbeat.{cluster}.network.>",
    ),
    "volume": (
        *_of(_READ_BY, "volume"),
        "freehold.ask.pool.{store}",
        "freehold.ask.pool.{cluster}.{store}",
        "freehold.ask.volume.{store}",
        "freehold.ask.volume.{cluster}.{store}",
        "freehold.ask.opening.{store}.*",
    ),
    "api": ("freehold.event.>", "freehold.heartbeat.>", "freehold.beats.*.network.>"),
    "notifier": (
        *_of(_READ_BY, "notifier"),
        "freehold.ask.notifier",
        *(
            f"freehold.{what}.*.{role}.>"
            for what in ("event", "heartbeat")
            for role in ("registrar", "image", "network", "volume", "host")
        ),
        "freehold.beats.*.network.>",
    ),
    "broker": ("freehold.roll",),
}
"""What a machine with a role hears, and which questions it answers."""

_WITHIN: Final = ("freehold.build.host.", "freehold.ask.beats.", "freehold.ask.disk.", "freehold.ask.opening.")
"""What passes no link: it is said within a cluster alone."""
_LINKED: Final = ("network", "host", "volume", "broker")
"""The roles that a cluster with a server of its own has there."""


def may_speak(passport: Passport, subject: str) -> bool:
    """Whether the machine may say something on `subject`."""
    return _covers(SPEAKS, passport, subject)


def may_answer(passport: Passport, subject: str) -> bool:
    """Whether the machine is one of those who answer questions on `subject`."""
    return _covers(HEARS, passport, subject)


def _covers(table: dict[str, tuple[str, ...]], passport: Passport, subject: str) -> bool:
    return _is_covered(table is SPEAKS, passport.roles, passport.cluster, passport.stores, subject)


@lru_cache(maxsize=65536)
def _is_covered(speaks: bool, roles: tuple[str, ...], cluster: str, stores: tuple[str, ...], subject: str) -> bool:
    return any(matches(pattern, subject) for pattern in _patterns(speaks, roles, cluster, stores))


def linked(table: dict[str, tuple[str, ...]], cluster: str) -> tuple[str, ...]:
    """What a table says of all machines of a cluster together: what passes its link to the centre. What names a store
    and not its cluster is said within a cluster alone.
    """
    found = dict.fromkeys(_EVERYBODY if table is SPEAKS else _EVERYBODY_HEARS)
    for role in _LINKED:
        passing = (one for one in table[role] if "{store}" not in one or "{cluster}" in one)
        found |= dict.fromkeys(one.format(cluster=cluster, store="*") for one in passing)
    return tuple(one for one in found if not one.startswith(_WITHIN))


def patterns(table: dict[str, tuple[str, ...]], passport: Passport) -> tuple[str, ...]:
    """What a table says of a machine; nothing for a role that it doesn't know."""
    return _patterns(table is SPEAKS, passport.roles, passport.cluster, passport.stores)


@lru_cache(maxsize=8192)
def _patterns(speaks: bool, roles: tuple[str, ...], cluster: str, stores: tuple[str, ...]) -> tuple[str, ...]:
    table, found = SPEAKS if speaks else HEARS, dict.fromkeys(_EVERYBODY if speaks else _EVERYBODY_HEARS)
    for role in roles:
        for pattern in table.get(role, ()):
            names = stores if "{store}" in pattern else ("",)
            found |= dict.fromkeys(pattern.format(cluster=cluster, store=name) for name in names)
    return tuple(found)
