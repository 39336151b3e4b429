"""What guests find on a machine, by the names of os-traits."""

from collections.abc import Iterable
from typing import Final

_CPU: Final = {
    "3dnow": "3DNOW",
    "abm": "ABM",
    "aes": "AESNI",
    "avx": "AVX",
    "avx2": "AVX2",
    "avx512bw": "AVX512BW",
    "avx512cd": "AVX512CD",
    "avx512dq": "AVX512DQ",
    "avx512er": "AVX512ER",
    "avx512f": "AVX512F",
    "avx512ifma": "AVX512IFMA",
    "avx512pf": "AVX512PF",
    "avx512vbmi": "AVX512VBMI",
    "avx512_vbmi2": "AVX512VBMI2",
    "avx512vl": "AVX512VL",
    "avx512_bitalg": "AVX512BITALG",
    "avx512_vnni": "AVX512VNNI",
    "avx512_vpopcntdq": "AVX512VPOPCNTDQ",
    "bmi1": "BMI",
    "bmi2": "BMI2",
    "f16c": "F16C",
    "fma": "FMA3",
    "fma4": "FMA4",
    "mmx": "MMX",
    "pclmulqdq": "CLMUL",
    "pdpe1gb": "PDPE1GB",
    "pni": "SSE3",
    "rtm": "TSX",
    "sha_ni": "SHA",
    "sse": "SSE",
    "sse2": "SSE2",
    "sse4_1": "SSE41",
    "sse4_2": "SSE42",
    "sse4a": "SSE4A",
    "ssse3": "SSSE3",
    "stibp": "STIBP",
    "tbm": "TBM",
    "xop": "XOP",
}
"""The kernel's words, and what comes after ``HW_CPU_X86_``. With AVX-512 the three of `_WIDE` are its forms."""
_WIDE: Final = {"gfni": "AVX512GFNI", "vaes": "AVX512VAES", "vpclmulqdq": "AVX512VPCLMULQDQ"}
_NESTED: Final = {"svm": "SVM", "vmx": "VMX"}
"""A guest finds them only where KVM lets it run guests of its own."""
_EMULATED: Final = frozenset({"mmx", "sse", "sse2", "pni", "ssse3", "sse4_1", "sse4_2"})
"""What QEMU of any age emulates: what the machine's own processor can do is nothing to its guests then."""

DEVICES: Final = (
    "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_NET_VIF_MODEL_VIRTIO",
    "COMPUTE_STORAGE_BUS_VIRTIO",
)
"""What every guest has, on any machine."""


def traits_of(accelerator: str, flags: Iterable[str], *, is_nested: bool) -> tuple[str, ...]:
    """The traits of a machine that runs guests with an accelerator, and whose processors have these flags; sorted."""
    found = frozenset(flags) if accelerator == "kvm" else _EMULATED
    words = _CPU | (_WIDE if "avx512f" in found else {}) | (_NESTED if is_nested and accelerator == "kvm" else {})
    return tuple(sorted([*DEVICES, *(f"HW_CPU_X86_{name}" for word, name in words.items() if word in found)]))
