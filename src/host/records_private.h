/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/records_private: what records.c, which has the files, and record_request.c, which has what is in one of them, share.
 * Nobody else includes it. */
#pragma once

#include "host/records.h"

#define REQUEST_SUFFIX ".request"

/* Each returns 0 or -errno. */
int record_write_file(uint64_t id, const char *suffix, const char *text, size_t len);
/* The whole file, NUL-terminated; free() it. One that is longer than @max is -EBADMSG. */
int record_read_file(uint64_t id, const char *suffix, size_t max, char **ret, size_t *ret_len);
