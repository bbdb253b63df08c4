/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ENTRY(name, number) { name, ERROR_PREFIX name, number }

/* Each number is another, so that a client that only sees −errno can still tell them apart. ENOMEM is left to our own
 * failed allocations. */
static const struct {
        const char *name, *dbus_name;
        int number;
} errors[_ERROR_MAX] = {
        [ERROR_INVALID_ARGUMENT] = ENTRY("InvalidArgument", EINVAL),
        [ERROR_UNKNOWN_LANGUAGE] = ENTRY("UnknownLanguage", EOPNOTSUPP),
        [ERROR_COMPILATION_FAILED] = ENTRY("CompilationFailed", ENOEXEC),
        [ERROR_QUEUE_LENGTH_EXCEEDED] = ENTRY("QueueLengthExceeded", EAGAIN),
        [ERROR_QUEUE_TIMEOUT] = ENTRY("QueueTimeout", ETIME),
        [ERROR_SHUTTING_DOWN] = ENTRY("ShuttingDown", ESHUTDOWN),
        [ERROR_MEMORY_LIMIT_EXCEEDED] = ENTRY("MemoryLimitExceeded", EDQUOT),
        [ERROR_MEMORY_BUDGET_EXHAUSTED] = ENTRY("MemoryBudgetExhausted", ENOSPC),
        [ERROR_TIMEOUT] = ENTRY("Timeout", ETIMEDOUT),
        [ERROR_CANCELED] = ENTRY("Canceled", ECANCELED),
        [ERROR_EXECUTION_FAILED] = ENTRY("ExecutionFailed", ECHILD),
        [ERROR_DEPENDENCY_FAILED] = ENTRY("DependencyFailed", ENOLINK),
        [ERROR_NO_SUCH_QUERY] = ENTRY("NoSuchQuery", ESRCH),
        [ERROR_PERMISSION_DENIED] = ENTRY("PermissionDenied", EACCES),
        [ERROR_INTERNAL] = ENTRY("Internal", EIO),
};

static bool code_is_error(ErrorCode code) {
        return code > ERROR_NONE && code < _ERROR_MAX;
}

/* A precision in a format may have cut a character in two, anywhere, and what names a file need not be text at all:
 * D-Bus would refuse the whole message, and whoever waits for it would wait for ever. Bytes that are part of no character
 * become '?'; those of one that the end cut are dropped. */
static void repair(char *s) {
        size_t len = strlen(s);

        for (size_t i = 0, n; i < len; i += MAX(n, 1u)) {
                n = utf8_char_length(s + i, len - i);
                if (n == 0 && len - i < 4 && len + 1 == ERROR_MESSAGE_MAX && ((unsigned char) s[i] & 0xc0) == 0xc0) {
                        s[i] = '\0';
                        return;
                }
                if (n == 0)
                        s[i] = '?';
        }
}

void error_set_va(Error *e, ErrorCode code, const char *format, va_list ap) {
        vsnprintf(e->message, sizeof(e->message), format, ap);
        repair(e->message);
        e->code = code;
}

int error_set(Error *e, ErrorCode code, const char *format, ...) {
        va_list ap;

        if (!e || e->code != ERROR_NONE)
                return -error_errno(code);
        va_start(ap, format);
        error_set_va(e, code, format, ap);
        va_end(ap);
        return -error_errno(code);
}

const char *error_name(ErrorCode code) {
        return code_is_error(code) ? errors[code].name : NULL;
}

const char *error_dbus_name(ErrorCode code) {
        return code_is_error(code) ? errors[code].dbus_name : NULL;
}

ErrorCode error_from_name(const char *name) {
        if (!name)
                return ERROR_NONE;
        for (unsigned i = ERROR_NONE + 1; i < _ERROR_MAX; i++)
                if (strcmp(name, errors[i].name) == 0 || strcmp(name, errors[i].dbus_name) == 0)
                        return (ErrorCode) i;
        return ERROR_NONE;
}

bool error_passes(int r) {
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -ENOSPC || r == -EAGAIN;
}

int error_errno(ErrorCode code) {
        return code_is_error(code) ? errors[code].number : 0;
}
