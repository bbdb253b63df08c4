/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/records: what penstockd writes of its queries to /run/penstock/queries, for a later life of its own. Three files
 * a query: ID.state, a line of core/trace, written again with each change; ID.request, JSON, which has what was asked for; and
 * ID.profile, of one that executes or has, as core/profile saves it. All are root's alone, and whole: a new file takes the place of
 * the old one. */
#pragma once

#include "core/dependency.h"
#include "core/language.h"

/* One that was read is request_record_done()'s to free. */
typedef struct RequestRecord {
        Request request; /* without query text and groups' order changed */
        uint64_t created_realtime_usec, ended_realtime_usec;
        char *stderr_tail; /* NULL: none */
        const Language *language; /* what its commands are made of, as it was when it was submitted; NULL once it has started */
        DependencyList dependencies; /* the same; once it has started, of those that are told of its end, else their names alone */
} RequestRecord;

/* Each returns 0 or -errno: -EFBIG when it would be longer than @max_bytes; -EBADMSG when a file is not what was written, or of
 * another version. @ret_bytes: how long the file is. */
int record_write_request(uint64_t id, const RequestRecord *r, size_t max_bytes, size_t *ret_bytes);
int record_read_request(uint64_t id, RequestRecord *ret, size_t *ret_bytes);
void request_record_done(RequestRecord *r);

/* @line without its newline. */
int record_write_state(uint64_t id, const char *line);
/* Into @buf, without the newline. */
int record_read_state(uint64_t id, char *buf, size_t len);

int record_write_profile(uint64_t id, const uint8_t *profile, size_t len);
/* free() *@ret. One that is not there is -ENOENT. */
int record_read_profile(uint64_t id, uint8_t **ret, size_t *ret_len);

/* All files; what is not there is no error. */
void record_remove(uint64_t id);
/* The IDs of all, rising; free() it. Requests without a state are removed. Returns 0, also when there are none, or -errno. */
int record_list(uint64_t **ret_ids, size_t *ret_n);
