"""What a host is by names, and what it lacks of what a guest asks for."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.guest import GuestSpec
from freehold.vocabulary.host import Host
from freehold.vocabulary.trait import TRAITS_MAX, forbidden, is_trait, lacking, qualities, required
from tests.owners import FLAVOR, a_host

HOST = a_host(
    "h", hypervisor="qemu", accelerator="tcg", architecture="x86_64", traits=("CUSTOM_FAST", "HW_CPU_X86_AVX")
)


def spec(image_traits: tuple[str, ...] = (), architecture: str = "", hypervisor: str = "", **traits: str) -> GuestSpec:
    flavor = replace(FLAVOR, extra_specs={f"trait:{name}": value for name, value in traits.items()} | {"other": "x"})
    given: Any = {"image_traits": image_traits, "architecture": architecture, "hypervisor_type": hypervisor}
    return GuestSpec(flavor=flavor, image="", **given)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("HW_CPU_X86_AVX2", True),
        ("CUSTOM_A1", True),
        ("A" * 255, True),
        ("A" * 256, False),
        ("", False),
        ("custom_a", False),
        ("CUSTOM-A", False),
        ("CUSTOM_A\n", False),
        ("in 1234", False),
        ("1A", False),
    ],
)
def test_names_of_traits(name: str, is_one: bool) -> None:
    assert is_trait(name) is is_one


def test_what_a_guest_asks_for_is_its_flavors_and_its_images() -> None:
    asked = spec(("CUSTOM_A",), CUSTOM_B="required", CUSTOM_C="forbidden")
    assert (required(asked), forbidden(asked)) == ({"CUSTOM_A", "CUSTOM_B"}, {"CUSTOM_C"})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (spec(), ""),
        (spec(CUSTOM_FAST="required", CUSTOM_GPU="forbidden"), ""),
        (spec(("HW_CPU_X86_AVX",), "x86_64", "qemu"), ""),
        (spec(architecture="i686"), ""),
        (spec(CUSTOM_GPU="required"), "lacks trait CUSTOM_GPU"),
        (spec(("CUSTOM_B",), CUSTOM_GPU="required"), "lacks traits CUSTOM_B, CUSTOM_GPU"),
        (spec(CUSTOM_FAST="forbidden"), "has trait CUSTOM_FAST, which the flavor forbids"),
        (spec(architecture="aarch64"), "isn't of architecture aarch64, which the image asks for"),
        (spec(hypervisor="kvm"), "isn't of hypervisor kvm, which the image asks for"),
    ],
)
def test_what_a_host_lacks(asked: GuestSpec, said: str) -> None:
    assert lacking(HOST, asked) == said


@pytest.mark.parametrize(
    ("fields", "types"),
    [
        ({"hypervisor": "qemu", "accelerator": "kvm"}, {"hypervisor qemu", "hypervisor kvm"}),
        ({"hypervisor": "qemu", "accelerator": "tcg"}, {"hypervisor qemu"}),
        ({"hypervisor": "simulated", "accelerator": "none"}, {"hypervisor qemu", "hypervisor kvm"}),
    ],
)
def test_what_guests_are_run_with(fields: dict[str, str], types: set[str]) -> None:
    both = {"architecture x86_64", "architecture i686"}
    assert qualities(a_host("h", **fields)) == types | both


def test_a_host_cannot_pass_for_what_only_others_say_of_it() -> None:
    lies = ("in an-aggregate", "for all projects", "hypervisor kvm", "CUSTOM_TRUE")
    assert qualities(replace(HOST, traits=lies)) & set(lies) == {"CUSTOM_TRUE"}
    many = tuple(f"CUSTOM_{number:04}" for number in range(TRAITS_MAX + 1))
    assert many[-1] not in qualities(replace(HOST, traits=many)) > set(many[:-1])


def test_records_of_an_older_release_are_read() -> None:
    older = a_host("h", hypervisor="qemu")
    assert "traits" not in encode(older).decode(errors="replace") and decode(encode(older), Host) == older
    assert lacking(older, spec(architecture="x86_64", hypervisor="qemu")) == "", "as long as hosts aren't upgraded"
