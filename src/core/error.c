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

/* vsnprintf() may have cut a UTF-8 character in two: D-Bus would refuse the half. Drop what is left of it. */
static void cut_at_character(char *s, size_t len) {
        size_t start = len;

        while (start > 0 && len - start < 4 && ((unsigned char) s[start - 1] & 0xc0) == 0x80)
                start--;
        if (start > 0 && ((unsigned char) s[start - 1] & 0x80) != 0)
                start--;
        if (!utf8_is_valid(s + start, len - start))
                s[start] = '\0';
}

int error_set(Error *e, ErrorCode code, const char *format, ...) {
        va_list ap;
        int n;

        if (!e || e->code != ERROR_NONE)
                return -error_errno(code);
        va_start(ap, format);
        n = vsnprintf(e->message, sizeof(e->message), format, ap);
        va_end(ap);
        if (n >= (int) sizeof(e->message))
                cut_at_character(e->message, sizeof(e->message) - 1);
        e->code = code;
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

int error_errno(ErrorCode code) {
        return code_is_error(code) ? errors[code].number : 0;
}
