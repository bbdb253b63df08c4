/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/records.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "core/profile.h"
#include "host/state_files.h"

#ifndef RECORDS_DIRECTORY
#define RECORDS_DIRECTORY "/run/penstock/queries"
#endif
#define RECORD_VERSION 1
#define STATE_SUFFIX ".state"
#define REQUEST_SUFFIX ".request"
#define PROFILE_SUFFIX ".profile"
/* No request that was accepted is longer as JSON, where a byte can take six. */
#define REQUEST_FILE_MAX (64 * MIB)
#define PATH_LEN 96

static const char *record_path(uint64_t id, const char *suffix, char buf[static PATH_LEN]) {
        snprintf(buf, PATH_LEN, RECORDS_DIRECTORY "/%llu%s", (unsigned long long) id, suffix);
        return buf;
}

static int write_whole(uint64_t id, const char *suffix, const char *text, size_t len) {
        static const char fresh[] = RECORDS_DIRECTORY "/.new";
        char path[PATH_LEN];
        int r;

        record_path(id, suffix, path);
        r = state_replace_file(path, fresh, text, len);
        if (r == -ENOENT && mkdir(RECORDS_DIRECTORY, 0700) == 0)
                r = state_replace_file(path, fresh, text, len);
        return r;
}

/* The whole file, NUL-terminated; free() it. */
static int read_whole(uint64_t id, const char *suffix, size_t max, char **ret, size_t *ret_len) {
        char path[PATH_LEN], *text;
        struct stat st;
        ssize_t n;
        int fd = open(record_path(id, suffix, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r = 0;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                r = -errno;
        else if (!S_ISREG(st.st_mode) || (uint64_t) st.st_size > max)
                r = -EBADMSG;
        text = r == 0 ? malloc((size_t) st.st_size + 1) : NULL;
        if (r == 0 && !text)
                r = -ENOMEM;
        n = r == 0 ? read(fd, text, (size_t) st.st_size) : 0;
        if (r == 0 && n != st.st_size)
                r = n < 0 ? -errno : -EBADMSG;
        close(fd);
        if (r < 0) {
                free(text);
                return r;
        }
        text[n] = 0;
        *ret = text;
        *ret_len = (size_t) n;
        return 0;
}

int record_write_state(uint64_t id, const char *line) {
        return write_whole(id, STATE_SUFFIX, line, strlen(line));
}

int record_read_state(uint64_t id, char *buf, size_t len) {
        char *text = NULL;
        size_t n = 0;
        int r = read_whole(id, STATE_SUFFIX, len - 1, &text, &n);

        if (r < 0)
                return r;
        if (memchr(text, 0, n))
                r = -EBADMSG;
        else
                memcpy(buf, text, n + 1);
        free(text);
        return r;
}

int record_write_profile(uint64_t id, const uint8_t *profile, size_t len) {
        return write_whole(id, PROFILE_SUFFIX, (const char *) profile, len);
}

int record_read_profile(uint64_t id, uint8_t **ret, size_t *ret_len) {
        char *bytes = NULL;
        int r = read_whole(id, PROFILE_SUFFIX, PROFILE_SAVED_MAX, &bytes, ret_len);

        if (r == 0)
                *ret = (uint8_t *) bytes;
        return r;
}

void record_remove(uint64_t id) {
        char path[PATH_LEN];

        (void) unlink(record_path(id, STATE_SUFFIX, path));
        (void) unlink(record_path(id, PROFILE_SUFFIX, path));
        (void) unlink(record_path(id, REQUEST_SUFFIX, path)); /* last: whatever is left goes with it, see record_list() */
}

static int compare_ids(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

/* "7.state" → 7 */
static bool id_of(const char *name, const char *suffix, uint64_t *ret) {
        size_t digits = strspn(name, "0123456789");
        char number[24];

        if (digits == 0 || digits >= sizeof(number) || strcmp(name + digits, suffix) != 0)
                return false;
        memcpy(number, name, digits);
        number[digits] = 0;
        return u64_parse(number, ret) == 0;
}

int record_list(uint64_t **ret_ids, size_t *ret_n) {
        uint64_t *ids = NULL, id;
        size_t n = 0, allocated = 0;
        char path[PATH_LEN];
        struct dirent *e;
        DIR *d = opendir(RECORDS_DIRECTORY);

        *ret_ids = NULL;
        *ret_n = 0;
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while ((e = readdir(d))) {
                if (id_of(e->d_name, REQUEST_SUFFIX, &id) && access(record_path(id, STATE_SUFFIX, path), F_OK) < 0 && errno == ENOENT)
                        record_remove(id); /* its writer was killed before it was admitted, or after it was forgotten */
                if (!id_of(e->d_name, STATE_SUFFIX, &id))
                        continue;
                if (n == allocated) {
                        uint64_t *v = realloc(ids, (allocated = MAX(2 * allocated, 64u)) * sizeof(*v));

                        if (!v) {
                                free(ids);
                                closedir(d);
                                return -ENOMEM;
                        }
                        ids = v;
                }
                ids[n++] = id;
        }
        closedir(d);
        if (n > 0)
                qsort(ids, n, sizeof(*ids), compare_ids);
        *ret_ids = ids;
        *ret_n = n;
        return 0;
}

/* ---- the request as JSON: all members of Request under their own names; what is not set is left out ---- */

typedef enum MemberKind { MEMBER_STRING, MEMBER_STRINGS, MEMBER_PAIRS, MEMBER_U64, MEMBER_U32, MEMBER_I32, MEMBER_BOOL } MemberKind;

static const struct {
        const char *name;
        MemberKind kind;
        size_t offset;
} members[] = {
#define MEMBER(kind, member) { #member, MEMBER_##kind, offsetof(RequestRecord, member) }
        MEMBER(STRING, request.language),
        MEMBER(U64, request.query_len),
        MEMBER(STRINGS, request.argv),
        MEMBER(STRING, request.database),
        MEMBER(STRING, request.file),
        MEMBER(STRING, request.working_directory),
        MEMBER(PAIRS, request.parameters),
        MEMBER(PAIRS, request.labels),
        MEMBER(PAIRS, request.environment),
        MEMBER(U64, request.memory_initial_bytes),
        MEMBER(U64, request.memory_max_bytes),
        MEMBER(I32, request.priority),
        MEMBER(U64, request.timeout_usec),
        MEMBER(U64, request.queue_timeout_usec),
        MEMBER(STRINGS, request.dependencies),
        MEMBER(STRING, request.user),
        MEMBER(U32, request.umask),
        MEMBER(BOOL, request.detach),
        MEMBER(BOOL, request.has_stdin),
        MEMBER(BOOL, request.has_stderr),
        MEMBER(U32, request.uid),
        MEMBER(U32, request.gid),
        MEMBER(U64, created_realtime_usec),
        MEMBER(U64, ended_realtime_usec),
        MEMBER(STRING, stderr_tail),
#undef MEMBER
};
/* Whoever adds a member names it above. limits and gids are lists of numbers, below. */
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "query_len is written as 64 bits");
_Static_assert(sizeof(RequestRecord) == sizeof(Request) + 3 * sizeof(uint64_t), "RequestRecord has changed");
_Static_assert(sizeof(Request) == 224 + REQUEST_LIMITS_MAX * sizeof(RequestLimit), "Request has changed");

/* Takes both over. NULL when one is, or for want of memory: a list must never come out shorter. */
static json_t *append(json_t *a, json_t *element) {
        if (a && json_array_append_new(a, element) == 0)
                return a;
        json_decref(a);
        return NULL;
}

static json_t *strings_to_json(const StrList *l) {
        json_t *a = json_array();

        for (size_t i = 0; a && i < l->n; i++)
                a = append(a, json_string(l->v[i]));
        return a;
}

/* Their order matters (a later environment variable wins), and an object has none by contract. */
static json_t *pairs_to_json(const PairList *l) {
        json_t *a = json_array();

        for (size_t i = 0; a && i < l->n; i++)
                a = append(a, json_pack("[ss]", l->v[i].key, l->v[i].value));
        return a;
}

static json_t *numbers_to_json(const Request *r, bool gids) {
        json_t *a = json_array();

        for (size_t i = 0; a && gids && i < r->n_gids; i++)
                a = append(a, json_integer(r->gids[i]));
        for (size_t i = 0; a && !gids && i < r->n_limits; i++)
                a = append(a, json_pack("[iII]", r->limits[i].resource, (json_int_t) r->limits[i].soft,
                                        (json_int_t) r->limits[i].hard));
        return a;
}

static json_t *member_to_json(const RequestRecord *r, size_t i) {
        const void *p = (const char *) r + members[i].offset;

        switch (members[i].kind) {
        case MEMBER_STRING: return *(char *const *) p ? json_string(*(char *const *) p) : NULL;
        case MEMBER_STRINGS: return strings_to_json(p);
        case MEMBER_PAIRS: return pairs_to_json(p);
        case MEMBER_U64: return json_integer((json_int_t) * (const uint64_t *) p); /* infinity is -1 */
        case MEMBER_U32: return json_integer(*(const uint32_t *) p);
        case MEMBER_I32: return json_integer(*(const int32_t *) p);
        case MEMBER_BOOL: return json_boolean(*(const bool *) p);
        }
        return NULL;
}

static bool is_set(const RequestRecord *r, size_t i) {
        const void *p = (const char *) r + members[i].offset;

        return members[i].kind == MEMBER_STRING    ? *(char *const *) p != NULL
               : members[i].kind == MEMBER_STRINGS ? ((const StrList *) p)->n > 0
               : members[i].kind == MEMBER_PAIRS   ? ((const PairList *) p)->n > 0
                                                   : true;
}

int record_write_request(uint64_t id, const RequestRecord *r, size_t max_bytes, size_t *ret_bytes) {
        json_t *o = json_pack("{s:i, s:o, s:o}", "version", RECORD_VERSION, "gids", numbers_to_json(&r->request, true), "limits",
                              numbers_to_json(&r->request, false));
        size_t len;
        char *text;
        int k = o ? 0 : -ENOMEM;

        for (size_t i = 0; i < ELEMENTSOF(members) && k == 0; i++)
                if (is_set(r, i) && json_object_set_new(o, members[i].name, member_to_json(r, i)) < 0)
                        k = -ENOMEM;
        text = k == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
        json_decref(o);
        if (!text)
                return -ENOMEM;
        len = strlen(text);
        k = len > max_bytes ? -EFBIG : write_whole(id, REQUEST_SUFFIX, text, len);
        free(text);
        if (k == 0)
                *ret_bytes = len;
        return k;
}

static int strings_from_json(const json_t *a, StrList *ret) {
        for (size_t i = 0; i < json_array_size(a); i++) {
                const char *s = json_string_value(json_array_get(a, i));

                if (!s)
                        return -EBADMSG;
                if (strlist_add(ret, s) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int pairs_from_json(const json_t *a, PairList *ret) {
        for (size_t i = 0; i < json_array_size(a); i++) {
                const json_t *pair = json_array_get(a, i);
                const char *key = json_string_value(json_array_get(pair, 0)), *value = json_string_value(json_array_get(pair, 1));

                if (!key || !value)
                        return -EBADMSG;
                if (pairlist_set(ret, key, value) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int member_from_json(const json_t *v, size_t i, RequestRecord *ret) {
        void *p = (char *) ret + members[i].offset;
        json_int_t n = json_integer_value(v);

        switch (members[i].kind) {
        case MEMBER_STRING:
                if (!json_is_string(v))
                        return -EBADMSG;
                *(char **) p = strdup(json_string_value(v));
                return *(char **) p ? 0 : -ENOMEM;
        case MEMBER_STRINGS: return json_is_array(v) ? strings_from_json(v, p) : -EBADMSG;
        case MEMBER_PAIRS: return json_is_array(v) ? pairs_from_json(v, p) : -EBADMSG;
        case MEMBER_U64: *(uint64_t *) p = (uint64_t) n; break;
        case MEMBER_U32: *(uint32_t *) p = (uint32_t) n; break;
        case MEMBER_I32: *(int32_t *) p = (int32_t) n; break;
        case MEMBER_BOOL: *(bool *) p = json_is_true(v); break;
        }
        return json_is_integer(v) || json_is_boolean(v) ? 0 : -EBADMSG;
}

static int numbers_from_json(const json_t *gids, const json_t *limits, Request *ret) {
        size_t n = json_array_size(gids);

        if (n > REQUEST_GROUPS_MAX || json_array_size(limits) > REQUEST_LIMITS_MAX)
                return -EBADMSG;
        ret->gids = n > 0 ? calloc(n, sizeof(*ret->gids)) : NULL;
        if (n > 0 && !ret->gids)
                return -ENOMEM;
        for (; ret->n_gids < n; ret->n_gids++) {
                const json_t *v = json_array_get(gids, ret->n_gids);

                if (!json_is_integer(v)) /* a query must not run with fewer groups, and never with others */
                        return -EBADMSG;
                ret->gids[ret->n_gids] = (uint32_t) json_integer_value(v);
        }
        for (; ret->n_limits < json_array_size(limits); ret->n_limits++) {
                json_int_t soft, hard;
                RequestLimit *l = &ret->limits[ret->n_limits];

                if (json_unpack(json_array_get(limits, ret->n_limits), "[iII]", &l->resource, &soft, &hard) < 0)
                        return -EBADMSG;
                l->soft = (uint64_t) soft;
                l->hard = (uint64_t) hard;
        }
        return 0;
}

int record_read_request(uint64_t id, RequestRecord *ret, size_t *ret_bytes) {
        RequestRecord record = { .request = REQUEST_INIT };
        char *text = NULL;
        json_t *o = NULL;
        size_t len = 0;
        int r = read_whole(id, REQUEST_SUFFIX, REQUEST_FILE_MAX, &text, &len);

        if (r == 0 && !(o = json_loadb(text, len, 0, NULL)))
                r = -EBADMSG;
        free(text);
        if (r == 0 && json_integer_value(json_object_get(o, "version")) != RECORD_VERSION)
                r = -EBADMSG;
        for (size_t i = 0; i < ELEMENTSOF(members) && r == 0; i++) {
                const json_t *v = json_object_get(o, members[i].name);

                if (v)
                        r = member_from_json(v, i, &record);
        }
        if (r == 0)
                r = numbers_from_json(json_object_get(o, "gids"), json_object_get(o, "limits"), &record.request);
        if (r == 0 && (!record.request.language || !json_object_get(o, "request.uid") || !json_object_get(o, "request.gid")))
                r = -EBADMSG;
        json_decref(o);
        if (r < 0) {
                request_record_done(&record);
                return r;
        }
        *ret = record;
        *ret_bytes = len;
        return 0;
}

void request_record_done(RequestRecord *r) {
        request_done(&r->request);
        free(r->stderr_tail);
        r->stderr_tail = NULL;
}
