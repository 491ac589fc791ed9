# What a Linux program for x86-64 runs before its own beginning (tuned-entry.ts puts it there): if variables are missing in the
# environment, the process replaces itself by the same program with them. The C library and Bun read them at the start of a process
# only. Otherwise, and if that fails, the program begins.
#
# The loader of the system has run and jumps here, with the stack of System V ABI, x86-64 supplement, chapter 3.4.1:
#
#   rsp -> argc, argv…, 0, environment…, 0, pairs of the auxiliary vector…, 0
#   rdx    a function for the end of the process, which the program registers
#
# It promises nothing about other registers. scripts/build-entry writes start-x64-code.ts from this file, and the build appends
# what `distance` and `variables` name.

    .intel_syntax noprefix
    .equ EXECVE, 59
    .equ AT_BASE, 7
    .equ AT_SECURE, 23
    .equ AT_EXECFN, 31

    .text
    .globl _start
_start:
    mov     r14, rsp
    mov     r15, rdx

    mov     rax, [r14]                  # argc
    lea     r13, [r14 + rax * 8 + 16]   # r13: the environment
    mov     r12, r13
find_end:
    add     r12, 8
    cmp     qword ptr [r12 - 8], 0
    jne     find_end                    # r12: the auxiliary vector

    xor     ebx, ebx                    # rbx: AT_EXECFN, the path that the process was started with
    xor     ebp, ebp                    # rbp: AT_SECURE, not 0 if the program has more rights than its caller
    xor     r8d, r8d                    # r8: AT_BASE, where the kernel loaded the loader
    mov     rdx, r12
next_pair:
    mov     rax, [rdx]
    mov     rcx, [rdx + 8]
    add     rdx, 16
    cmp     rax, AT_EXECFN
    cmove   rbx, rcx
    cmp     rax, AT_SECURE
    cmove   rbp, rcx
    cmp     rax, AT_BASE
    cmove   r8, rcx
    test    rax, rax
    jnz     next_pair

    # The loader was started with the program as its argument. It may have further arguments, which are not known here.
    test    r8, r8
    jz      begin
    test    rbx, rbx
    jz      begin                       # a kernel before 2.6.27

    # The program is the interpreter of a script: the path is that of the script, and is also the first or second argument. The kernel
    # would add it once more.
    lea     rdx, [r14 + 16]             # argv[1]
next_argument:
    mov     rsi, [rdx]
    test    rsi, rsi
    jz      no_script
    xor     ecx, ecx
next_letter:
    mov     al, [rbx + rcx]
    cmp     al, [rsi + rcx]
    jne     other_argument
    inc     rcx
    test    al, al
    jnz     next_letter
    jmp     begin
other_argument:
    add     rdx, 8
    lea     rax, [r14 + 24]             # argv[2]
    cmp     rdx, rax
    jbe     next_argument
no_script:

    # The new environment, pushed from its end to its beginning: 0, what is missing, and what there is.
    push    0
    lea     rdi, [rip + variables]
next_variable:
    cmp     byte ptr [rdi], 0
    je      all_compared
    # The loader removes the C library's own variables if the program has more rights. They would be missing for ever.
    test    rbp, rbp
    jz      compare
    cmp     dword ptr [rdi], 0x4c4c414d # "MALL", of MALLOC_ARENA_MAX
    je      skip
compare:
    mov     rdx, r13
next_present:
    mov     rsi, [rdx]
    add     rdx, 8
    test    rsi, rsi
    jz      missing
    xor     ecx, ecx
next_letter_of_name:
    mov     al, [rdi + rcx]
    cmp     al, [rsi + rcx]
    jne     next_present
    inc     rcx
    cmp     al, '='
    jne     next_letter_of_name
    jmp     skip
missing:
    push    rdi
skip:
    inc     rdi
    cmp     byte ptr [rdi - 1], 0
    jne     skip
    jmp     next_variable

all_compared:
    cmp     qword ptr [rsp], 0
    je      begin                       # nothing is missing
    lea     rdx, [r12 - 8]
copy:
    cmp     rdx, r13
    je      replace
    sub     rdx, 8
    push    [rdx]
    jmp     copy

    # Not /proc/self/exe: the process would be named "exe". But a program with more rights than its caller starts no path that the
    # caller may have replaced meanwhile. execve returns only if it fails: the file was deleted, the descriptor
    # that the path names is closed by execve, or the environment is too large with the variables.
replace:
    mov     rdi, rbx
    test    rbp, rbp
    jz      execute
    lea     rdi, [rip + itself]
execute:
    lea     rsi, [r14 + 8]
    mov     rdx, rsp
    mov     eax, EXECVE
    syscall

begin:
    mov     rsp, r14
    mov     rdx, r15
    lea     rax, [rip + distance]
    add     rax, [rax]
    jmp     rax

itself:
    .asciz  "/proc/self/exe"
    .balign 8, 0
# The program's own beginning, as a distance from here: 8 bytes.
distance:
    .equ variables, distance + 8
# "NAME=value" with a 0 behind each, and a 0 behind all.
