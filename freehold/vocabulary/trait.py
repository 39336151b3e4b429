"""What a host can do, by names, and what a guest asks of a host by them.

Traits have the names of os-traits, such as ``HW_CPU_X86_AVX2``; those that an operator makes up begin with ``CUSTOM_``.
A flavor asks by its extra specs (``trait:NAME=required`` or ``forbidden``), an image by its properties
(``trait:NAME=required``, ``hw_architecture``, ``img_hv_type``).
"""

import re
from functools import lru_cache
from typing import Final

from freehold.vocabulary.guest import GuestSpec
from freehold.vocabulary.host import Host

PREFIX: Final = "trait:"
"""Of the name of an extra spec or a property that is about a trait."""
CUSTOM: Final = "CUSTOM_"
REQUIRED: Final = "required"
FORBIDDEN: Final = "forbidden"
CUSTOM_MAX: Final = 100
"""That an operator may set for a host."""
TRAITS_MAX: Final = 500
"""Of a host: more than a CPU has flags. Those past it don't count."""
ASKED_MAX: Final = 50
"""Of a flavor, and of an image."""
HYPERVISOR_TYPES: Final = ("qemu", "kvm")
"""Nova's words for what hosts of this cloud run guests with."""

_RUNS_TOO: Final = {"x86_64": ("i686",)}
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,254}")


def is_trait(name: str) -> bool:
    """Whether a trait may have this name: capitals, digits and underscores, at most 255."""
    return _NAME.fullmatch(name) is not None


def qualities(host: Host) -> frozenset[str]:
    """What a host says of itself, as names: its traits, its architecture, what it runs guests with. What can't be a
    trait is left out: a host can't pass for something else by it.
    """
    return _qualities(host.traits, hypervisor_types(host), host.architecture)


@lru_cache(maxsize=1024)
def _qualities(traits: tuple[str, ...], types: tuple[str, ...], architecture: str) -> frozenset[str]:
    """Hosts that are alike have one set: a host's record is read each time that its room changes."""
    known = frozenset(name for name in traits[:TRAITS_MAX] if is_trait(name))
    runs = [architecture, *_RUNS_TOO.get(architecture, ())]
    return known.union(map(hypervisor_quality, types), map(architecture_quality, runs))


def hypervisor_types(host: Host) -> tuple[str, ...]:
    """What a host can run guests with. One with KVM can emulate as well, a simulated one simulates either."""
    return HYPERVISOR_TYPES if host.hypervisor == "simulated" or host.accelerator == "kvm" else ("qemu",)


def architecture_quality(architecture: str) -> str:
    """The name under which an architecture is looked for."""
    return f"architecture {architecture}"


def hypervisor_quality(hypervisor_type: str) -> str:
    """The name under which a hypervisor is looked for."""
    return f"hypervisor {hypervisor_type}"


def required(spec: GuestSpec) -> frozenset[str]:
    """The traits that a guest's host must have, for its flavor or its image."""
    return _of_flavor(spec, REQUIRED).union(spec.image_traits)


def forbidden(spec: GuestSpec) -> frozenset[str]:
    """The traits that a guest's host must not have."""
    return _of_flavor(spec, FORBIDDEN)


def image_qualities(spec: GuestSpec) -> frozenset[str]:
    """What else the image asks of a host."""
    architecture = [architecture_quality(spec.architecture)] if spec.architecture else []
    return frozenset([*architecture, *([hypervisor_quality(spec.hypervisor_type)] if spec.hypervisor_type else [])])


def lacking(host: Host, spec: GuestSpec) -> str:
    """Why a host isn't one that a guest asks for, to follow the host's name in a sentence; empty if it is one."""
    here = qualities(host)
    missing, unwanted = sorted(required(spec) - here), sorted(forbidden(spec) & here)
    if missing:
        return f"lacks {_traits(missing)}"
    if unwanted:
        return f"has {_traits(unwanted)}, which the flavor forbids"
    other = sorted(image_qualities(spec) - here)
    return f"isn't of {' and '.join(other)}, which the image asks for" if other else ""


def _traits(names: list[str]) -> str:
    return f"trait{'' if len(names) == 1 else 's'} {', '.join(names)}"


def _of_flavor(spec: GuestSpec, value: str) -> frozenset[str]:
    specs = spec.flavor.extra_specs
    return frozenset(key.removeprefix(PREFIX) for key in specs if key.startswith(PREFIX) and specs[key] == value)
