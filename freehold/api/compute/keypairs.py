"""Key pairs: public keys that are put into servers. They belong to a user, not to a project."""

import base64
import hashlib
import zlib
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_key,
)
from msgspec import UNSET, UnsetType

from freehold.api import asking
from freehold.api.call import Answer, Call
from freehold.api.compute import microversion as mv
from freehold.api.compute.microversion import Version
from freehold.api.compute.wire.keypairs import KeyPairBody, KeyPairIn
from freehold.api.paging import cut, next_link, wanted
from freehold.api.reading import find, keyed
from freehold.vocabulary.errors import BadRequest, Conflict, Forbidden, NotFound, QuotaExceeded
from freehold.vocabulary.tenant import KeyPair, Quota
from freehold.vocabulary.units import iso_micros


def _user(call: Call, named: str | UnsetType | None) -> str:
    """Whose key pairs are meant. Raises Forbidden for another user's, except for an admin."""
    if named is None or isinstance(named, UnsetType) or mv.of(call) < mv.KEYPAIR_OF_USER:
        return call.caller.user
    if named != call.caller.user and not call.caller.is_admin:
        raise Forbidden("Policy doesn't allow this on another user's key pairs.")
    return named


async def _pair(call: Call) -> KeyPair:
    user, name = _user(call, call.query.one("user_id")), call.params["name"]
    pair = await find(call, KeyPair, f"{user}/{name}")
    if pair is None:
        raise NotFound(f"Keypair {name[:64]} not found for user {user[:64]}")
    return pair


def _shown(pair: KeyPair, version: Version) -> dict[str, Any]:
    body = {"name": pair.name, "public_key": pair.public_key, "fingerprint": pair.fingerprint}
    return body | ({"type": pair.type} if version >= mv.KEYPAIR_TYPE else {})


async def index(call: Call) -> Answer:
    """GET /os-keypairs."""
    version = mv.of(call)
    pairs = await keyed(call, KeyPair, f"{_user(call, call.query.one('user_id'))}/")
    more = False
    if version >= mv.KEYPAIR_PAGES:
        pairs, more = cut(pairs, wanted(call), lambda pair: pair.name)
    body: dict[str, Any] = {"keypairs": [{"keypair": _shown(pair, version)} for pair in pairs]}
    if more:
        body["keypairs_links"] = [{"rel": "next", "href": next_link(call, pairs[-1].name)}]
    return Answer(body=body)


async def show(call: Call) -> Answer:
    """GET /os-keypairs/{name}."""
    pair = await _pair(call)
    more = {
        "user_id": pair.user,
        "id": zlib.crc32(f"{pair.user}/{pair.name}".encode()) & 0x7FFFFFFF,
        "created_at": iso_micros(pair.created),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    return Answer(body={"keypair": _shown(pair, mv.of(call)) | more})


async def create(call: Call) -> Answer:
    """POST /os-keypairs: keeps a public key, or (before 2.92) makes a pair and gives the private key once."""
    version, given = mv.of(call), call.read(KeyPairBody).keypair
    _check(given, version)
    user = _user(call, given.user_id)
    private = ""
    public = (given.public_key or "").strip()
    if not public:
        private, public = _generated(call)
    pair = KeyPair(
        user=user,
        name=given.name.strip(),
        public_key=public,
        fingerprint=_fingerprint(public),
        created=call.cloud.clock.now(),
    )
    await _check_room(call, pair)
    await asking.save(call, f"{user}/{pair.name}", pair, new=True)
    body = _shown(pair, version) | {"user_id": user} | ({"private_key": private} if private else {})
    return Answer(200 if version < mv.KEYPAIR_TYPE else 201, {"keypair": body})


def _check(given: KeyPairIn, version: Version) -> None:
    for name, value, since in (
        ("type", given.type, mv.KEYPAIR_TYPE),
        ("user_id", given.user_id, mv.KEYPAIR_OF_USER),
    ):
        if value is not UNSET and version < since:
            raise mv.refuse_unknown(name)
    if given.type not in (UNSET, "ssh"):
        raise BadRequest("Keypairs of type 'ssh' are served by this cloud; leave 'type' out")
    if not given.name.strip():
        raise BadRequest("Keypair data is invalid: the name can't be blank")
    if given.name != given.name.strip() and version >= mv.KEYPAIR_IMPORT_ONLY:
        raise BadRequest("Keypair data is invalid: the name can't begin or end with a space")
    if version < mv.KEYPAIR_IMPORT_ONLY and set(given.name) & set("@."):
        raise BadRequest("Keypair data is invalid: Keypair name contains unsafe characters")
    if not given.public_key and version >= mv.KEYPAIR_IMPORT_ONLY:
        raise BadRequest("Invalid input: 'public_key' is a required property")


async def _check_room(call: Call, pair: KeyPair) -> None:
    """Raises Conflict if the name is taken, QuotaExceeded if the user has as many as the project's quota says."""
    theirs = await keyed(call, KeyPair, f"{pair.user}/")
    if any(other.name == pair.name for other in theirs):
        raise Conflict(f"Key pair '{pair.name}' already exists.")
    quota = call.cloud.view.get(Quota, call.caller.project) or Quota(project=call.caller.project)
    if 0 <= quota.key_pairs <= len(theirs):
        raise QuotaExceeded("Quota exceeded, too many key pairs.")


def _fingerprint(public: str) -> str:
    """MD5 over the key's bytes, as Nova shows it. Raises BadRequest for what isn't one OpenSSH public key."""
    parts = public.split(" ", 2)
    if len(parts) < 2 or not public.isprintable():
        raise BadRequest("Keypair data is invalid: the public key must be one line in OpenSSH's format")
    try:
        load_ssh_public_key(public.encode())
        blob = base64.b64decode(parts[1], validate=True)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadRequest(f"Keypair data is invalid: failed to generate fingerprint: {error}") from error
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _generated(call: Call) -> tuple[str, str]:
    """A new pair: the private key and the public one, in OpenSSH's formats."""
    key = Ed25519PrivateKey.from_private_bytes(call.cloud.chance.bytes(32))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return private, f"{public} generated-by-freehold"


async def delete(call: Call) -> Answer:
    """DELETE /os-keypairs/{name}."""
    pair = await _pair(call)
    await asking.drop(call, f"{pair.user}/{pair.name}", pair)
    return Answer(202 if mv.of(call) < mv.KEYPAIR_TYPE else 204)
