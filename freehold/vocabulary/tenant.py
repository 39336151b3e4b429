"""What belongs to no host: people, what they may do, and what they may ask for."""

from enum import StrEnum

import msgspec

from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Word

DEFAULT_DOMAIN = "default"


class Project(Word, frozen=True, kw_only=True):
    """A tenant. Everything a user makes belongs to one."""

    id: str
    name: str
    domain: str = DEFAULT_DOMAIN
    description: str = ""
    enabled: bool = True
    created: int = 0


class User(Word, frozen=True, kw_only=True):
    """A person or program that can sign in. Its password's hash is a private row, never in the record."""

    id: str
    name: str
    domain: str = DEFAULT_DOMAIN
    email: str = ""
    description: str = ""
    default_project: str = ""
    enabled: bool = True
    created: int = 0
    generation: int = 0
    """Rises when the password changes or the user is disabled: tokens of an older generation are void."""


class Role(Word, frozen=True, kw_only=True):
    """A name that the policy table knows: admin, member, reader."""

    id: str
    name: str
    description: str = ""


class Assignment(Word, frozen=True, kw_only=True):
    """A user has a role in a project. Key: user/project/role; project "system" for system-wide roles."""

    user: str
    project: str
    role: str


class ApplicationCredential(Word, frozen=True, kw_only=True):
    """A secret of a user's for a program, bound to one project and some roles. The secret's hash is a private row."""

    id: str
    name: str
    user: str
    project: str
    roles: tuple[str, ...]
    description: str = ""
    expires: int | None = None
    unrestricted: bool = False


class Revocation(Word, frozen=True, kw_only=True):
    """A token that was given back before it expired. Key: the token's audit id. Kept until `expires` (unix seconds)."""

    audit_id: str
    expires: int


class SigningKey(Word, frozen=True, kw_only=True):
    """The public half of a key that tokens are signed with (a JWK as JSON text)."""

    id: str
    public_jwk: str


class Flavor(Word, frozen=True, kw_only=True):
    """A size a guest may have. `project_access` lists the projects of a private flavor."""

    id: str
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    rxtx_factor: float = 1.0
    public: bool = True
    description: str | None = None
    extra_specs: dict[str, str] = msgspec.field(default_factory=dict)
    project_access: tuple[str, ...] = ()
    created: int = 0


class VolumeType(Word, frozen=True, kw_only=True):
    """A kind of volume that may be asked for. `project_access` lists the projects of a private one."""

    id: str
    name: str
    description: str = ""
    public: bool = True
    extra_specs: dict[str, str] = msgspec.field(default_factory=dict)
    project_access: tuple[str, ...] = ()
    is_default: bool = False
    created: int = 0


class KeyPair(Word, frozen=True, kw_only=True):
    """A user's public key. Key: user/name."""

    user: str
    name: str
    public_key: str
    fingerprint: str
    type: str = "ssh"
    created: int = 0


class GroupPolicy(StrEnum):
    """Whether the members of a server group have one host, or each another. The soft ones are preferences."""

    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"
    SOFT_AFFINITY = "soft-affinity"
    SOFT_ANTI_AFFINITY = "soft-anti-affinity"


class ServerGroup(Word, frozen=True, kw_only=True):
    """Guests that should be kept together or apart."""

    id: str
    project: str
    user: str
    name: str
    policy: GroupPolicy
    created: int = 0


class Resource(StrEnum):
    """What a quota counts."""

    INSTANCES = "instances"
    CORES = "cores"
    RAM_MIB = "ram_mib"
    VOLUMES = "volumes"
    SNAPSHOTS = "snapshots"
    GIGABYTES = "gigabytes"


UNLIMITED = -1


class Quota(Word, frozen=True, kw_only=True):
    """A project's limits, kept by the registrar; -1 is no limit. Key: the project. Defaults hold where there is no
    record.
    """

    project: str
    instances: int = 50
    cores: int = 100
    ram_mib: int = 256 * 1024
    key_pairs: int = 100
    metadata_items: int = 128
    server_groups: int = 10
    server_group_members: int = 10
    injected_files: int = 5
    injected_file_bytes: int = 10 * 1024
    injected_file_path_bytes: int = 255
    volumes: int = 10
    snapshots: int = 10
    gigabytes: int = 1000
    per_volume_gigabytes: int = UNLIMITED


class Credentials(Word, frozen=True, kw_only=True):
    """Name and password as somebody typed them."""

    user: str
    password: Secret
