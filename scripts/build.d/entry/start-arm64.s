// The same as start-x64.s for AArch64. That file explains the steps.
//
// The loader of the system jumps here with
//
//   sp -> argc, argv…, 0, environment…, 0, pairs of the auxiliary vector…, 0
//   x0    a function for the end of the process, which the program registers

    .equ EXECVE, 221
    .equ AT_BASE, 7
    .equ AT_SECURE, 23
    .equ AT_EXECFN, 31

// The end of the stack that is used is x9. sp itself must be a multiple of 16.
    .macro push register
    sub     x9, x9, 8
    and     sp, x9, -16
    str     \register, [x9]
    .endm

    .text
    .globl _start
_start:
    mov     x19, sp
    mov     x20, x0

    ldr     x0, [x19]                   // argc
    add     x21, x19, x0, lsl 3
    add     x21, x21, 16                // x21: the environment
    mov     x22, x21
find_end:
    ldr     x0, [x22], 8
    cbnz    x0, find_end                // x22: the auxiliary vector

    mov     x23, 0                      // x23: AT_EXECFN
    mov     x24, 0                      // x24: AT_SECURE
    mov     x25, 0                      // x25: AT_BASE
    mov     x2, x22
next_pair:
    ldp     x0, x1, [x2], 16
    cmp     x0, AT_EXECFN
    csel    x23, x1, x23, eq
    cmp     x0, AT_SECURE
    csel    x24, x1, x24, eq
    cmp     x0, AT_BASE
    csel    x25, x1, x25, eq
    cbnz    x0, next_pair

    // The loader was started with the program as its argument.
    cbz     x25, begin
    cbz     x23, begin                  // a kernel before 2.6.27

    // The program is the interpreter of a script.
    add     x2, x19, 16                 // argv[1]
    add     x3, x19, 24                 // argv[2]
next_argument:
    ldr     x4, [x2], 8
    cbz     x4, no_script
    mov     x5, x23
next_letter:
    ldrb    w0, [x5], 1
    ldrb    w1, [x4], 1
    cmp     w0, w1
    b.ne    other_argument
    cbnz    w0, next_letter
    b       begin
other_argument:
    cmp     x2, x3
    b.ls    next_argument
no_script:

    // The new environment, from its end to its beginning.
    mov     x9, sp
    push    xzr
    adr     x4, variables
    ldr     w6, mall
next_variable:
    ldrb    w0, [x4]
    cbz     w0, all_compared
    // The loader removes the C library's own variables if the program has more rights.
    cbz     x24, compare
    ldr     w0, [x4]
    cmp     w0, w6
    b.eq    skip
compare:
    mov     x2, x21
next_present:
    ldr     x3, [x2], 8
    cbz     x3, missing
    mov     x5, x4
next_letter_of_name:
    ldrb    w0, [x5], 1
    ldrb    w1, [x3], 1
    cmp     w0, w1
    b.ne    next_present
    cmp     w0, '='
    b.ne    next_letter_of_name
    b       skip
missing:
    push    x4
skip:
    ldrb    w0, [x4], 1
    cbnz    w0, skip
    b       next_variable

all_compared:
    ldr     x0, [x9]
    cbz     x0, begin                   // nothing is missing
    sub     x2, x22, 8
copy:
    cmp     x2, x21
    b.eq    replace
    ldr     x0, [x2, -8]!
    push    x0
    b       copy

replace:
    mov     x0, x23
    cbz     x24, execute
    // A program with more rights than its caller starts no path that the caller may have replaced.
    adr     x0, itself
execute:
    add     x1, x19, 8
    mov     x2, x9
    mov     x8, EXECVE
    svc     0

begin:
    mov     sp, x19
    mov     x0, x20
    adr     x16, distance
    ldr     x17, [x16]
    add     x16, x16, x17
    br      x16

itself:
    .asciz  "/proc/self/exe"
    .balign 4, 0
mall:
    .ascii  "MALL"                      // of MALLOC_ARENA_MAX
    .balign 8, 0
// The program's own beginning, as a distance from here: 8 bytes.
distance:
    .equ variables, distance + 8
// "NAME=value" with a 0 behind each, and a 0 behind all.
