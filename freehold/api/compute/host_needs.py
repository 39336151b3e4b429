"""What flavors and images ask of a host by names: traits, architecture, hypervisor (``trait:…``, ``hw_architecture``,
``img_hv_type``, ``hw_vm_mode``), and the metadata of host aggregates.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from freehold.vocabulary.aggregate import SPECS
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.guest import GuestSpec
from freehold.vocabulary.image import Image
from freehold.vocabulary.trait import ASKED_MAX, FORBIDDEN, HYPERVISOR_TYPES, PREFIX, REQUIRED, forbidden, is_trait

_ARCHITECTURES: Final = (
    "aarch64 alpha armv6 armv7 armv7b cris i686 ia64 lm32 m68k microblaze microblazeel mips mips64 mips64el mipsel "
    "openrisc parisc parisc64 ppc ppc64 ppc64el ppc64le ppcemb riscv32 riscv64 s390 s390x sh4 sh4eb sparc sparc64 "
    "unicore32 x86_64 xtensa xtensaeb"
)
"""Those that Nova knows."""
_OTHER_NAMES: Final = {"amd64": "x86_64", "x64": "x86_64", "i386": "i686", "i486": "i686", "i586": "i686"}
_VM_MODE: Final = "hvm"


def check_specs(specs: Mapping[str, str]) -> None:
    """Raises BadRequest for extra specs that ask for hosts in words that nobody understands."""
    _check_traits("extra spec", specs, (REQUIRED, FORBIDDEN))
    for key in specs:
        if key.startswith(SPECS) and not key.removeprefix(SPECS).strip():
            raise BadRequest(f"Invalid extra spec '{key}': after the colon there is to be a name of metadata.")
    if sum(key.startswith(SPECS) for key in specs) > ASKED_MAX:
        raise BadRequest(f"A flavor can ask for the metadata of aggregates by at most {ASKED_MAX} extra specs.")


def needing(spec: GuestSpec, image: Image) -> GuestSpec:
    """`spec` with what its image asks of a host. Raises BadRequest for what nobody understands, for what no host of
    this cloud can ever be, and for an image that asks for what the flavor forbids.
    """
    check_specs(spec.flavor.extra_specs)
    properties = image.properties
    traits = _check_traits("image property", properties, (REQUIRED,))
    mode = _said(properties, "hw_vm_mode", "vm_mode")
    if mode not in ("", _VM_MODE):
        raise BadRequest(f"Image {image.id} asks for the VM mode '{mode[:64]}'; hosts of this cloud run {_VM_MODE}.")
    architecture = _said(properties, "hw_architecture", "architecture")
    architecture = _OTHER_NAMES.get(architecture, architecture)
    if architecture and architecture not in _ARCHITECTURES.split():
        raise BadRequest(f"Image {image.id} is made for the architecture '{architecture[:64]}', which isn't known.")
    hypervisor_type = _said(properties, "img_hv_type", "hypervisor_type")
    if hypervisor_type not in ("", *HYPERVISOR_TYPES):
        raise BadRequest(
            f"Image {image.id} is made for the hypervisor '{hypervisor_type[:64]}'; hosts of this cloud run "
            f"{' and '.join(HYPERVISOR_TYPES)}."
        )
    unwanted = sorted(forbidden(spec).intersection(traits))
    if unwanted:
        raise BadRequest(f"Image {image.id} requires trait {unwanted[0]}, which flavor {spec.flavor.name} forbids.")
    return replace(spec, image_traits=traits, architecture=architecture, hypervisor_type=hypervisor_type)


def _check_traits(noun: str, given: Mapping[str, str], meanings: Iterable[str]) -> tuple[str, ...]:
    """The traits that are named, by name. Raises BadRequest."""
    named = {key.removeprefix(PREFIX): value for key, value in given.items() if key.startswith(PREFIX)}
    if len(named) > ASKED_MAX:
        raise BadRequest(f"{len(named)} traits are asked for by {noun}; it can be at most {ASKED_MAX}.")
    for name, value in named.items():
        if not is_trait(name):
            raise BadRequest(
                f"Invalid {noun} '{PREFIX}{name[:64]}': a trait's name has capitals, digits and underscores."
            )
        if value not in meanings:
            raise BadRequest(
                f"Invalid {noun} '{PREFIX}{name}': it is '{value[:64]}' and can be {' or '.join(meanings)}."
            )
    return tuple(sorted(named))


def _said(properties: Mapping[str, str], *names: str) -> str:
    """The first of these that is there, in small letters."""
    return next((properties[name].strip().lower() for name in names if properties.get(name)), "")
