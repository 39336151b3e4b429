"""A guest of 82 bytes, so that real guests can be tested in seconds.

It is a boot sector that knows its serial line and ACPI's power button.

It prints ``guest ready``, echoes what it hears, and powers off when the power button is pressed or it hears a ``q``:

        cli; xor ax, ax; mov ds, ax; mov ss, ax; mov sp, 0x7c00
        mov dx, 0x602; mov ax, 0x100; out dx, ax        ; PM1_EN: the power button
        mov si, text; mov dx, 0x3f8
    print:  lodsb; test al, al; jz idle; out dx, al; jmp print
    idle:   sti; hlt
        mov dx, 0x600; in ax, dx; test ah, 1; jnz off   ; PM1_STS: pressed?
        mov dx, 0x3fd; in al, dx; test al, 1; jz idle   ; heard something?
        mov dx, 0x3f8; in al, dx; cmp al, 'q'; je off
        out dx, al; jmp idle
    off:    mov dx, 0x604; mov ax, 0x2000; out dx, ax; jmp off      ; PM1_CNT: sleep, type 5
"""

import base64
from pathlib import Path

_SECTOR = (
    base64.b64decode(
        "+jHAjtiO0LwAfLoCBrgAAe++Rny6+AOshMB0A+7r+Pv0ugAG7fbEAXUTuv0D7KgBdO26+APsPHF0A+7r4roEBrgAIO/r92d1ZXN0IHJlYWR5Cg=="
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)


def write_image(path: Path) -> Path:
    """A raw image that boots the guest: 1 MiB, for the BIOS boots no disk of one sector."""
    path.write_bytes(_SECTOR.ljust(1 << 20, b"\0"))
    return path
