"""What a NATS server lets machines in by, made from the table of who may say what (`allowed`).

A **ticket** goes with each passport: it names the machine's key, where it may publish and subscribe, and when that
ends. A **roll** is what a server checks tickets with: that the authority vouches for them, and which it takes no more.
So a server needs no list of machines. In NATS' words they are JWTs, of a user and of operator and accounts; the
authority's one key is operator and account.

They keep a server in order, and what is heard is checked all the same (`signed`).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any, Final

from freehold.bus.allowed import HEARS, SPEAKS, linked, patterns
from freehold.bus.nats_library import Error as NatsError
from freehold.bus.passports import Identity
from freehold.runtime.keys import KEY_BYTES, SigningKey
from freehold.vocabulary.machine import Passport, Roll
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.shards import ONE_SHARD, Shards

_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")

ANSWER_S: Final = 120
"""How long after a question its answer may be given: longer than any deadline."""
STORES_NAMED_MAX: Final = 8
"""A ticket names a machine's stores, or all where there are more: servers read tickets of up to `TICKET_BYTES_MAX`."""
TICKET_BYTES_MAX: Final = 48 * 1024
_OPERATOR: Final = 14 << 3
_ACCOUNT: Final = 0
_USER: Final = 20 << 3
"""What the text of a key begins with, by what it is for: the letters O, A and U in base 32."""
_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
_UNLIMITED: Final = {"subs": -1, "data": -1, "payload": -1}


def account(authority: bytes) -> str:
    """The account that all machines are in, as servers name it."""
    return _named(_ACCOUNT, authority)


def inbox(passport: Passport) -> str:
    """Where answers to a machine come: subjects that no other machine hears."""
    return f"_INBOX.{passport.cluster}.{passport.machine}"


@dataclass(frozen=True, slots=True)
class Cloud:
    """What of a cloud its tickets need to know."""

    centre: str
    """The cluster to whose servers those of the others are linked."""
    shards: Shards = ONE_SHARD
    """The registrar's."""


def ticket(passport: Passport, authority: SigningKey, cloud: Cloud) -> str:
    """What a server lets a machine in by."""
    says, hears = _allowed(passport, cloud)
    claims = {
        "type": "user",
        "version": 2,
        **_UNLIMITED,
        "pub": {"allow": sorted(says)},
        "sub": {"allow": sorted(hears)},
        "resp": {"max": 1, "ttl": ANSWER_S * 1_000_000_000},
    }
    key, times = _named(_USER, passport.key), {"iat": passport.issued_ms // 1000, "exp": passport.expires_ms // 1000}
    return _signed(authority, _named(_ACCOUNT, authority.public), key, times, claims, passport.name)


def _allowed(passport: Passport, cloud: Cloud) -> tuple[set[str], set[str]]:
    """Where a machine publishes, and where it subscribes."""
    says, hears = set(patterns(SPEAKS, passport)), set(patterns(HEARS, passport))
    if len(passport.stores) > STORES_NAMED_MAX:
        says, hears = (_of_all_stores(one, passport.stores) for one in (says, hears))
    hears.add(f"{inbox(passport)}.>")
    if "broker" in passport.roles and passport.cluster != cloud.centre:
        said = linked(SPEAKS, passport.cluster)
        # Of each shard by itself: NATS 2.9 tells a linked server nothing of subscriptions that are narrower in a token.
        says |= {one.replace("ledger.*", f"ledger.{shard}") for one in said for shard in cloud.shards.all()}
        says.add(f"_INBOX.{cloud.centre}.>")
        hears |= {*linked(HEARS, passport.cluster), f"_INBOX.{passport.cluster}.>"}
    return says, hears


def _of_all_stores(subjects: set[str], stores: tuple[str, ...]) -> set[str]:
    """The subjects with any store in the place of these."""
    own = set(stores)
    return {".".join("*" if token in own else token for token in one.split(".")) for one in subjects}


def roll(authority: SigningKey, refused: Mapping[bytes, int], time: int) -> Roll:
    """What a server checks tickets with. `refused`: public keys, and the time (unix ms) until which tickets of theirs
    would hold. The same for the same keys, but for its `time`.
    """
    operator, machines, system = (_named(kind, key) for kind, key in _authority_keys(authority))
    limits = {**_UNLIMITED, "imports": 0, "exports": 0, "wildcards": True, "conn": -1, "leaf": -1}
    nobody = {**limits, "conn": 0, "leaf": 0}
    revoked = {_named(_USER, key): -(-until_ms // 1000) for key, until_ms in refused.items()}

    def vouched(about: str, kind: str, **claims: Any) -> str:
        return _signed(authority, operator, about, {"iat": 0}, {"version": 2, "type": kind, **claims})

    return Roll(
        time=time,
        charter=vouched(operator, "operator", system_account=system),
        accounts=(
            (machines, vouched(machines, "account", limits=limits, revocations=revoked)),
            (system, vouched(system, "account", limits=nobody)),
        ),
    )


def _authority_keys(authority: SigningKey) -> tuple[tuple[int, bytes], ...]:
    """As operator, as the machines' account, and of an account that servers want for themselves and nobody is in."""
    servers = SigningKey(_derived(authority, b"freehold servers 1"))
    return (_OPERATOR, authority.public), (_ACCOUNT, authority.public), (_ACCOUNT, servers.public)


def route_password(authority: SigningKey, cluster: str) -> Secret:
    """What the servers of one cluster know each other by."""
    return Secret(_derived(authority, b"freehold routes 1", cluster.encode()).hex())


def _derived(authority: SigningKey, purpose: bytes, *parts: bytes) -> bytes:
    """A secret that only who has the authority's key can make, the same each time."""
    return blake2b(authority.sign(purpose, *parts), digest_size=KEY_BYTES).digest()


def credentials(ticket: str, key: bytes) -> Secret:
    """A ticket and its private key in the form of the file that a server connects to another with."""
    prefix = bytes([18 << 3 | _USER >> 5, (_USER & 31) << 3])
    return Secret(
        f"-----BEGIN NATS USER JWT-----\n{ticket}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{_checked_text(prefix + key)}\n------END USER NKEY SEED------\n"
    )


def _signed(
    authority: SigningKey, issuer: str, subject: str, times: dict[str, int], claims: dict[str, Any], name: str = ""
) -> str:
    whole: dict[str, Any] = {**times, "iss": issuer, "name": name or "freehold", "sub": subject, "nats": claims}
    whole["jti"] = base64.b32encode(sha256(_json(whole)).digest()).decode().rstrip("=")
    text = f"{_base64(_json(_HEADER))}.{_base64(_json(whole))}"
    return f"{text}.{_base64(authority.sign_plain(text.encode()))}"


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _named(kind: int, key: bytes) -> str:
    return _checked_text(bytes([kind]) + key)


def _checked_text(raw: bytes) -> str:
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def shown(identity: Identity | None) -> dict[str, Any]:
    """How a server's question who this is is answered. The server chooses what is to be signed: it gets no signature
    over anything that could be of use to it.
    """
    if identity is None or not identity.ticket:
        return {}

    def signature(nonce: str) -> bytes:
        if not _NONCE.fullmatch(nonce):
            raise NatsError("the server asks for a signature over what is no nonce")
        return base64.b64encode(identity.key.sign_plain(nonce.encode()))

    return {"user_jwt_cb": identity.ticket.encode, "signature_cb": signature}
