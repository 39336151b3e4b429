"""The traits of machines: what their guests find, not what their processors can do."""

import pytest

from freehold.drivers.hypervisor.traits import DEVICES, traits_of
from freehold.vocabulary.trait import is_trait

FLAGS = "fpu mmx sse sse2 pni aes avx avx2 vmx svm vaes"


@pytest.mark.parametrize(
    ("accelerator", "flags", "is_nested", "cpu"),
    [
        ("kvm", FLAGS, False, "AESNI AVX AVX2 MMX SSE SSE2 SSE3"),
        ("kvm", FLAGS, True, "AESNI AVX AVX2 MMX SSE SSE2 SSE3 SVM VMX"),
        ("kvm", "avx512f vaes", False, "AVX512F AVX512VAES"),
        ("kvm", "", True, ""),
        ("tcg", FLAGS, True, "MMX SSE SSE2 SSE3 SSE41 SSE42 SSSE3"),
        ("tcg", "", False, "MMX SSE SSE2 SSE3 SSE41 SSE42 SSSE3"),
    ],
)
def test_what_a_machines_guests_find(accelerator: str, flags: str, is_nested: bool, cpu: str) -> None:
    found = traits_of(accelerator, flags.split(), is_nested=is_nested)
    assert found == tuple(sorted([*DEVICES, *(f"HW_CPU_X86_{name}" for name in cpu.split())]))
    assert all(map(is_trait, found))
