# The boot sector that the probe boots: it does what a kernel does on its way up, and says so by ending QEMU with a status.
#
# Real mode (after the BIOS has read the disk), long mode with page tables of its own, some seconds' worth of nothing if the
# machine emulates every instruction, then interrupts of the timer, as a kernel needs them to calibrate its clock.
#
#   as --64 -o probe.o probe_sector.S && ld -m elf_x86_64 -Ttext 0x7c00 --oformat binary -o probe.bin probe.o && base64 -w100 probe.bin
.code16
.globl _start
_start:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x7c00, %esp
    # Page tables: 0x1000 -> 0x2000 -> 0x3000 -> the first 2 MiB.
    movw $0x1000, %di
    movw $0x1800, %cx
    rep stosw
    movw $0x2003, 0x1000
    movw $0x3003, 0x2000
    movw $0x0083, 0x3000
    movl $0x1000, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orb $0x20, %al              # physical address extension
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orb $1, %ah                 # long mode
    wrmsr
    lgdt gdt_pointer
    movl $0x80000001, %eax      # paging and protection
    movl %eax, %cr0
    ljmp $8, $long_mode
.code64
long_mode:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    # The gate of vector 0x20 in an interrupt table at 0x4000.
    movl $0x4200, %edi
    movl $tick, %eax
    movw %ax, (%rdi)
    movw $8, 2(%rdi)
    movw $0x8e00, 4(%rdi)
    movw $0, 6(%rdi)
    movq $0, 8(%rdi)
    lidt idt_pointer
    # Interrupt controller: IRQ 0 is vector 0x20, all others are shut. Timer: 100 Hz.
    movb $0x11, %al
    outb %al, $0x20
    movb $0x20, %al
    outb %al, $0x21
    movb $4, %al
    outb %al, $0x21
    movb $1, %al
    outb %al, $0x21
    movb $0xfe, %al
    outb %al, $0x21
    movb $0x34, %al
    outb %al, $0x43
    movb $0x9c, %al
    outb %al, $0x40
    movb $0x2e, %al
    outb %al, $0x40
    # Work on memory and registers, as a kernel that unpacks itself.
    xorl %ebx, %ebx
    movl $20000000, %ecx
work:
    addl %ecx, 0x6000
    imull $31, %ecx, %edx
    xorl %edx, 0x6008
    decl %ecx
    jnz work
    sti
wait:
    hlt
    cmpl $5, %ebx
    jb wait
    movw $0xf4, %dx             # isa-debug-exit: QEMU ends with status 0x10 * 2 + 1
    movl $0x10, %eax
    outl %eax, %dx
end:
    hlt
    jmp end
tick:
    incl %ebx
    movb $0x20, %al
    outb %al, $0x20
    iretq
.align 8
gdt:
    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word 23
    .long gdt
idt_pointer:
    .word 0x20f
    .quad 0x4000
.org 510
    .byte 0x55, 0xaa
