"""What the registrar does outside its store: signs tokens, hashes passwords, sends builds on their way, carries
deletes to hosts.
"""

import json
from hashlib import blake2b

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from freehold.bus import subjects, talk
from freehold.runtime.chance import new_id
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.guest import Delete
from freehold.vocabulary.request import Admission, Build, CloseProject
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import SigningKey
from freehold.vocabulary.token import Token
from freehold.workers.base import Means
from freehold.workers.registrar.signin import Grant

TOKEN_LIFE_S = 3600
REMEMBERED_MAX = 10_000
SALT_BYTES = 16
ASK_HOST_DEADLINE_S = 5.0


class Passwords:
    """Hashes and checks, off the loop (Argon2id, library defaults: about 0.1 s of CPU).

    A password that was right is remembered as a keyed digest in memory, so that a program that signs in for every
    command doesn't cost a hash
    each time; the digest covers the stored hash, so a changed password forgets it.
    """

    def __init__(self, means: Means, hasher: PasswordHasher) -> None:
        self._means = means
        self._hasher = hasher
        self._key = means.chance.bytes(32)
        self._right: dict[bytes, None] = {}

    async def hashed(self, password: Secret) -> bytes:
        """The hash to keep."""
        salt = self._means.chance.bytes(SALT_BYTES)
        return (await self._means.offload(lambda: self._hasher.hash(password.reveal(), salt=salt))).encode()

    async def right(self, kept: bytes | None, password: Secret) -> bool:
        """Whether `password` is the one that `kept` was made from. Takes as long when there is none."""
        if kept is None:
            await self.hashed(password)
            return False
        digest = blake2b(kept + b"\0" + password.reveal().encode(), key=self._key, digest_size=32).digest()
        if digest in self._right:
            return True
        if not await self._means.offload(lambda: self._verified(kept, password)):
            return False
        self._right[digest] = None
        if len(self._right) > REMEMBERED_MAX:
            del self._right[next(iter(self._right))]
        return True

    def _verified(self, kept: bytes, password: Secret) -> bool:
        try:
            return self._hasher.verify(kept.decode(), password.reveal())
        except (VerificationError, InvalidHashError):
            return False


class Signer:
    """Signs tokens with the registrar's Ed25519 key."""

    def __init__(self, means: Means, key_id: str, private: bytes) -> None:
        self._means, self._key_id = means, key_id
        raw = Ed25519PrivateKey.from_private_bytes(private)
        self._key = OKPKey.import_key(_jwk(raw, key_id))

    def public(self) -> SigningKey:
        """The record that lets everybody check."""
        return SigningKey(id=self._key_id, public_jwk=json.dumps(self._key.as_dict(private=False), sort_keys=True))

    def token(self, grant: Grant, methods: tuple[str, ...]) -> Token:
        """A token that says what was granted."""
        now = self._means.clock.clock.unix_ms() // 1000
        expires = min(now + TOKEN_LIFE_S, grant.expires_max or now + TOKEN_LIFE_S)
        audit_id = new_id(self._means.chance)
        claims = {
            "sub": grant.user.id,
            "prj": grant.project,
            "rol": list(grant.roles),
            "gen": grant.user.generation,
            "mth": list(methods),
            "jti": audit_id,
            "iat": now,
            "exp": expires,
            "apc": grant.credential,
        }
        header = {"alg": "Ed25519", "kid": self._key_id}
        text = jws.serialize_compact(header, json.dumps(claims).encode(), self._key, algorithms=["Ed25519"])
        return Token(
            text=Secret(text),
            user=grant.user.id,
            project=grant.project,
            roles=grant.roles,
            methods=methods,
            audit_id=audit_id,
            issued=now,
            expires=expires,
            credential=grant.credential,
        )

    def claims(self, token: Secret) -> dict[str, object] | None:
        """What a token of ours says, if it is one; whether it still holds is the caller's to check."""
        try:
            payload = jws.deserialize_compact(token.reveal(), self._key, algorithms=["Ed25519"]).payload
            found = json.loads(payload)
        except (JoseError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def _jwk(key: Ed25519PrivateKey, key_id: str) -> dict[str, str | list[str]]:
    imported: dict[str, str | list[str]] = OKPKey.import_key(key).as_dict(private=True)
    return imported | {"kid": key_id}


async def send_build(means: Means, build: Build) -> None:
    """Sends a build on its way, to the owner of its image first."""
    await talk.say(means.bus, subjects.build_image(build.image_owner), build)


async def close_project(means: Means, project: str) -> None:
    """Has the project's own shard admit nothing for it any more. Raises Conflict if it has guests, NoAnswer."""
    subject = subjects.ask_registrar(project, means.shards)
    await talk.ask(means.bus, subject, CloseProject(project=project), Done)


async def send_back(means: Means, admission: Admission) -> None:
    """Sends a guest to the host that has lost its record of it, by way of the network worker, which knows its ports."""
    assert admission.deed is not None
    build = Build(
        urn=admission.urn,
        guest=admission.guest,
        project=admission.project,
        user=admission.user,
        created=admission.created,
        expires=means.clock.now(),
        hostname=admission.hostname,
        labels=admission.labels,
        spec=admission.spec,
        networks=admission.networks,
        deed=admission.deed,
        restore=True,
    )
    await talk.say(
        means.bus, subjects.build_network(admission.deed.cluster, means.beyond(admission.deed.cluster)), build
    )


async def carry_delete(means: Means, admission: Admission) -> None:
    """Asks the host with the deed to remove the guest or, if nobody has deleted it and its request has failed, to
    refuse it for good unless it has run. Raises NoAnswer if the host can't be reached.
    """
    assert admission.deed is not None
    delete = Delete(
        urn=admission.delete_urn or admission.urn,
        guest=admission.guest,
        user=admission.user,
        project=admission.project,
        deed=admission.deed.number,
        unless_run=not admission.delete_urn,
        left=admission.deed.host in admission.left,
    )
    subject = subjects.ask_host(admission.deed.host, means.beyond(admission.deed.cluster))
    await talk.ask(means.bus, subject, delete, Done, ASK_HOST_DEADLINE_S)
