/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/error: the stable names of what can go wrong with a query (org.penstock1.Error.*). libc only. */
#pragma once

#include <stdarg.h>

#include "core/base.h"

typedef enum ErrorCode {
        ERROR_NONE,
        ERROR_INVALID_ARGUMENT,
        ERROR_UNKNOWN_LANGUAGE,
        ERROR_COMPILATION_FAILED,
        ERROR_QUEUE_LENGTH_EXCEEDED,
        ERROR_QUEUE_TIMEOUT,
        ERROR_SHUTTING_DOWN,
        ERROR_MEMORY_LIMIT_EXCEEDED,   /* the query's own maximum was reached */
        ERROR_MEMORY_BUDGET_EXHAUSTED, /* the budget was */
        ERROR_TIMEOUT,
        ERROR_CANCELED,
        ERROR_EXECUTION_FAILED,
        ERROR_DEPENDENCY_FAILED, /* what it needs is not there; named in the message */
        ERROR_NO_SUCH_QUERY,
        ERROR_PERMISSION_DENIED,
        ERROR_INTERNAL,
        _ERROR_MAX,
} ErrorCode;

#define ERROR_PREFIX "org.penstock1.Error."
#define ERROR_MESSAGE_MAX 512

/* What happened, the numbers, and which setting changes it: our own words, never the engine's or the query's text. */
typedef struct Error {
        ErrorCode code;
        char message[ERROR_MESSAGE_MAX];
} Error;

/* Set @e (which may be NULL) from a format; a longer text is cut at a character's edge, and what is no
 * UTF-8 becomes '?'. Returns the matching -errno,
 * so that a check can end with `return error_set(…)` (that of @code, also when an earlier error stays: a set @e is
 * not written over). */
int error_set(Error *e, ErrorCode code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same for an @e that is there and whose own content does not matter. */
void error_set_va(Error *e, ErrorCode code, const char *format, va_list ap) __attribute__((format(printf, 3, 0), nonnull));

/* The short name ("QueueTimeout"); NULL for ERROR_NONE. */
const char *error_name(ErrorCode code);
/* The D-Bus name ("org.penstock1.Error.QueueTimeout"); NULL for ERROR_NONE. */
const char *error_dbus_name(ErrorCode code);
/* The code of a short or a D-Bus name; ERROR_NONE when unknown or NULL. */
ErrorCode error_from_name(const char *name);
/* What a call returned (-errno) is for want of memory, a descriptor, a watch or a thread, of ours or in the kernel: later it may do. */
bool error_passes(int r);
/* The matching errno, positive (EINVAL); 0 for ERROR_NONE. Each code has its own. */
int error_errno(ErrorCode code);
