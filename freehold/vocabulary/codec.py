"""Words to bytes and back, and the table of kinds of records."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from freehold.vocabulary.aggregate import Aggregate, AggregateHost
from freehold.vocabulary.fence import Fence
from freehold.vocabulary.guest import Action, Guest, Refusal
from freehold.vocabulary.host import Host, Retirement
from freehold.vocabulary.image import Image, ImageMember
from freehold.vocabulary.machine import Machine
from freehold.vocabulary.network import Carrier, Network, NetworkQuota, Port, SecurityGroup, Subnet
from freehold.vocabulary.notification import Feed, Webhook
from freehold.vocabulary.request import Admission, Request
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import (
    ApplicationCredential,
    Assignment,
    Flavor,
    KeyPair,
    Project,
    Quota,
    Revocation,
    Role,
    ServerGroup,
    SigningKey,
    User,
    VolumeType,
)
from freehold.vocabulary.volume import Pool, Snapshot, Volume, VolumeRefusal
from freehold.vocabulary.volume_request import VolumeAdmission
from freehold.vocabulary.word import Word

W = TypeVar("W")

TOLD_MAX: Final = 512
TOLD_BYTES_MAX: Final = 32 * 1024
"""Records that were told lately and are remembered as they were decoded: so many, none longer than that."""

KINDS: Final[dict[str, type[Word]]] = {
    "machine": Machine,
    "host": Host,
    "guest": Guest,
    "action": Action,
    "refusal": Refusal,
    "admission": Admission,
    "request": Request,
    "retirement": Retirement,
    "fence": Fence,
    "project": Project,
    "user": User,
    "role": Role,
    "assignment": Assignment,
    "application_credential": ApplicationCredential,
    "revocation": Revocation,
    "signing_key": SigningKey,
    "flavor": Flavor,
    "key_pair": KeyPair,
    "server_group": ServerGroup,
    "quota": Quota,
    "aggregate": Aggregate,
    "aggregate_host": AggregateHost,
    "image": Image,
    "image_member": ImageMember,
    "network": Network,
    "subnet": Subnet,
    "port": Port,
    "security_group": SecurityGroup,
    "network_quota": NetworkQuota,
    "carrier": Carrier,
    "volume_pool": Pool,
    "volume": Volume,
    "snapshot": Snapshot,
    "volume_refusal": VolumeRefusal,
    "volume_admission": VolumeAdmission,
    "volume_type": VolumeType,
    "webhook": Webhook,
    "feed": Feed,
}
"""Every kind that an owner tells of, and the class of its records."""

KIND_OF: Final = {shape: kind for kind, shape in KINDS.items()}
"""The same the other way round."""

OWNED_BY: Final[dict[str, str]] = {
    "machine": "directory",
    **dict.fromkeys(("host", "guest", "action", "refusal"), "host"),
    **dict.fromkeys(("admission", "request", "retirement", "fence", "project"), "registrar"),
    **dict.fromkeys(("user", "role", "assignment"), "registrar"),
    **dict.fromkeys(("application_credential", "revocation", "signing_key", "flavor", "key_pair"), "registrar"),
    **dict.fromkeys(("server_group", "quota", "aggregate", "aggregate_host"), "registrar"),
    **dict.fromkeys(("image", "image_member"), "image"),
    **dict.fromkeys(("network", "subnet", "port", "security_group", "network_quota", "carrier"), "network"),
    **dict.fromkeys(("volume_pool", "volume", "snapshot", "volume_refusal"), "volume"),
    **dict.fromkeys(("volume_admission", "volume_type"), "registrar"),
    **dict.fromkeys(("webhook", "feed"), "notifier"),
}
"""The role that owns records of each kind: nobody else may tell of them."""

UNDER_DEED: Final = frozenset({"guest", "action", "refusal"})
"""Kinds that several hosts may have under one key: the record under the highest deed is the one that counts."""


def _hook_out(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} can't be sent")


def _hook_in(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"{kind.__name__} can't be received")


_encoder = msgspec.msgpack.Encoder(enc_hook=_hook_out, order="deterministic")
_decoders: dict[Any, Callable[[bytes], Any]] = {}


def encode(word: Any) -> bytes:
    """`word` as MessagePack. Secrets go as text: call it only for what stays in our own stores and bus."""
    return _encoder.encode(word)


def decode(data: bytes, shape: type[W]) -> W:
    """`data` as `shape`.

    Raises msgspec.ValidationError or msgspec.DecodeError (both ValueError) if it isn't one.
    """
    read: Callable[[bytes], W] = _decoders.get(shape) or decoder(shape)
    return read(data)


def decoder(shape: type[W]) -> Callable[[bytes], W]:
    """`decode` for one shape: for who reads many of a union, which is slow to look up."""
    read = _decoders[shape] = msgspec.msgpack.Decoder(shape, dec_hook=_hook_in).decode
    return read


def decode_told(data: bytes, shape: type[W]) -> W:
    """`decode`, for what several readers in one process are told one after another: it is decoded once."""
    read: W = _decode_recent(data, shape) if len(data) <= TOLD_BYTES_MAX else decode(data, shape)
    return read


_decode_recent: Final[Callable[[bytes, Any], Any]] = lru_cache(maxsize=TOLD_MAX)(decode)


def decode_kind(kind: str, data: bytes) -> Word:
    """The record of `kind` in `data`. Raises KeyError for a kind that isn't known here, ValueError for bytes that
    aren't one.
    """
    return decode(data, KINDS[kind])


def kind_of(record: Word) -> str:
    """The kind under which records of this class are kept. Raises KeyError if it is not one."""
    return KIND_OF[type(record)]
