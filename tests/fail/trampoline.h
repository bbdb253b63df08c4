/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that stand before others of any prototype, also a variadic one, and may fail in their stead: each saves the
 * argument registers and asks fail_enter() where to go on, which is the real function or fail_result(). x86-64. One file of
 * a program includes this. */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

typedef enum FailHow { MINUS_ONE, NOTHING, NEGATIVE, POSITIVE } FailHow;

typedef struct FailFunction {
        void *_Atomic real;
        const char *name;
        FailHow how;
        int error;
} FailFunction;

/* The trampolines find both by name. @caller: where the call returns to. @second: its second argument, if it has an integer there. */
extern FailFunction fail_functions[];
void *fail_enter(FailFunction *f, uintptr_t caller, uintptr_t second);

static _Thread_local int fail_wanted;

static long fail_minus_one(void) {
        errno = fail_wanted;
        return -1;
}

static void *fail_nothing(void) {
        errno = fail_wanted;
        return NULL;
}

static long fail_negative(void) {
        return -fail_wanted;
}

static long fail_positive(void) {
        return fail_wanted;
}

static void *fail_result(const FailFunction *f, int error) {
        static void *const results[] = {
                [MINUS_ONE] = (void *) fail_minus_one,
                [NOTHING] = (void *) fail_nothing,
                [NEGATIVE] = (void *) fail_negative,
                [POSITIVE] = (void *) fail_positive,
        };

        fail_wanted = error;
        return results[f->how];
}

_Static_assert(sizeof(FailFunction) == 24, "the trampolines count in these");

/* clang-format off */
#define FAIL_TRAMPOLINE(symbol, name, index)                                                                                 \
        asm(".pushsection .text\n"                                                                              \
            ".globl " #symbol "\n.type " #symbol ", @function\n" #symbol ":\n"                                  \
            ".cfi_startproc\n"                                                                                  \
            "endbr64\n"                                                                                         \
            "push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\n"                                        \
            "mov %rsp, %rbp\n.cfi_def_cfa_register %rbp\n"                                                      \
            "sub $192, %rsp\n"                                                                                  \
            "movups %xmm0, (%rsp)\nmovups %xmm1, 16(%rsp)\nmovups %xmm2, 32(%rsp)\nmovups %xmm3, 48(%rsp)\n"    \
            "movups %xmm4, 64(%rsp)\nmovups %xmm5, 80(%rsp)\nmovups %xmm6, 96(%rsp)\nmovups %xmm7, 112(%rsp)\n" \
            "mov %rdi, 128(%rsp)\nmov %rsi, 136(%rsp)\nmov %rdx, 144(%rsp)\nmov %rcx, 152(%rsp)\n"              \
            "mov %r8, 160(%rsp)\nmov %r9, 168(%rsp)\nmov %rax, 176(%rsp)\n"                                     \
            "movslq fail_index_" #name "(%rip), %rdi\n"                                                         \
            "imul $24, %rdi, %rdi\n"                                                                             \
            "lea fail_functions(%rip), %rax\nadd %rax, %rdi\n"                                                  \
            "mov 8(%rbp), %rsi\nmov 136(%rsp), %rdx\n"                                                          \
            "call fail_enter\n"                                                                                 \
            "mov %rax, %r11\n"                                                                                  \
            "movups (%rsp), %xmm0\nmovups 16(%rsp), %xmm1\nmovups 32(%rsp), %xmm2\nmovups 48(%rsp), %xmm3\n"    \
            "movups 64(%rsp), %xmm4\nmovups 80(%rsp), %xmm5\nmovups 96(%rsp), %xmm6\nmovups 112(%rsp), %xmm7\n" \
            "mov 128(%rsp), %rdi\nmov 136(%rsp), %rsi\nmov 144(%rsp), %rdx\nmov 152(%rsp), %rcx\n"              \
            "mov 160(%rsp), %r8\nmov 168(%rsp), %r9\nmov 176(%rsp), %rax\n"                                     \
            "leave\n.cfi_def_cfa %rsp, 8\n"                                                                     \
            "jmp *%r11\n"                                                                                       \
            ".cfi_endproc\n.size " #symbol ", . - " #symbol "\n"                                                    \
            ".popsection");                                                                                     \
        __attribute__((used)) const int fail_index_##name = index;
/* clang-format on */
