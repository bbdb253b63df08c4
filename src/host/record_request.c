/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The request as JSON: all members of Request under their own names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/record_members.h"
#include "host/records_private.h"

#define RECORD_VERSION 1
/* No request that was accepted is longer as JSON, where a byte can take six. */
#define REQUEST_FILE_MAX (64 * MIB)

#define R(kind, member) MEMBER(kind, RequestRecord, member)
static const Member members[] = {
        R(STRING, request.language),
        R(U64, request.query_len),
        R(STRINGS, request.argv),
        R(STRING, request.database),
        R(STRING, request.file),
        R(STRING, request.working_directory),
        R(PAIRS, request.parameters),
        R(PAIRS, request.labels),
        R(PAIRS, request.environment),
        R(U64, request.memory_initial_bytes),
        R(U64, request.memory_max_bytes),
        R(I32, request.priority),
        R(U64, request.timeout_usec),
        R(U64, request.queue_timeout_usec),
        R(STRINGS, request.dependencies),
        R(STRING, request.user),
        R(U32, request.umask),
        R(BOOL, request.detach),
        R(BOOL, request.once),
        R(BOOL, request.has_stdin),
        R(BOOL, request.has_stderr),
        R(U32, request.uid),
        R(U32, request.gid),
        R(U64, created_realtime_usec),
        R(U64, ended_realtime_usec),
        R(STRING, stderr_tail),
};
/* Whoever adds a member names it above. limits and gids are lists of numbers, below. */
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "query_len is written as 64 bits");
_Static_assert(sizeof(RequestRecord) == sizeof(Request) + 6 * sizeof(uint64_t), "RequestRecord has changed");
_Static_assert(sizeof(Request) == 224 + REQUEST_LIMITS_MAX * sizeof(RequestLimit), "Request has changed");

#define L(kind, member) MEMBER(kind, Language, member)
/* All that a command is made of. Enums are one of unsigned numbers, which language_check() bounds. */
static const Member language_members[] = {
        L(STRINGS, compile),
        L(STRINGS, execute),
        L(U32, query_from),
        L(U32, database),
        L(STRING, database_default),
        L(BOOL, arguments),
        L(BOOL, transparent_huge_pages),
        L(PAIRS, environment),
        L(U32, working_directory_access),
        L(U32, database_access),
        L(U32, home_access),
        L(BOOL, network),
        L(U32, tmp),
        L(PAIRS, unit_properties),
#undef L
};
_Static_assert(sizeof(QueryFrom) == sizeof(uint32_t) && sizeof(DatabaseKind) == sizeof(uint32_t) &&
                       sizeof(PathAccess) == sizeof(uint32_t) && sizeof(TmpKind) == sizeof(uint32_t),
               "an enum is written as 32 bits");
/* Its name is the request's; nothing is made of description, memory_note and origin_file, and dependencies have had their effect. */
_Static_assert(sizeof(Language) == 160, "Language has changed");

static int language_to_json(json_t *o, const Language *l) {
        json_t *v = l ? json_object() : NULL;
        int r = l && !v ? -ENOMEM : 0;

        if (v)
                r = members_to_json(v, language_members, ELEMENTSOF(language_members), l);
        if (v && r == 0)
                return json_object_set_new(o, "language", v) < 0 ? -ENOMEM : 0;
        json_decref(v);
        return r;
}

static int language_from_json(const json_t *v, const char *name, const Language **ret) {
        Language *l;
        int r;

        if (!v)
                return 0;
        r = json_is_object(v) && language_name_is_valid(name) ? language_new(name, &l) : -EBADMSG;
        if (r < 0)
                return r;
        r = members_from_json(v, language_members, ELEMENTSOF(language_members), l);
        if (r == 0)
                r = language_check(l);
        if (r < 0) {
                language_free(l);
                return r == -ENOMEM ? r : -EBADMSG;
        }
        *ret = l;
        return 0;
}

#define D(kind, member) MEMBER(kind, Dependency, member)
static const Member dependency_members[] = {
        D(STRING, name), /* the first, see below */
        D(BOOL, requestable),
        D(PAIRS, environment),
        D(STRINGS, environment_files),
        D(PAIRS, credentials),
        D(STRINGS, bind_paths),
        D(STRINGS, bind_read_only_paths),
        D(STRINGS, requires_units),
        D(STRINGS, after_units),
        D(STRINGS, check_command),
        D(STRINGS, release_command),
        D(STRING, user),
        D(U64, check_timeout_usec),
#undef D
};
_Static_assert(sizeof(Dependency) == 176, "Dependency has changed");

static int dependencies_to_json(json_t *o, const RequestRecord *r) {
        json_t *list = r->dependencies.n > 0 ? json_array() : NULL;
        int k = r->dependencies.n > 0 && !list ? -ENOMEM : 0;

        for (size_t i = 0; i < r->dependencies.n && k == 0; i++) {
                const Dependency *d = &r->dependencies.v[i];
                bool whole = r->language || d->release_command.n > 0;
                json_t *v = json_object();

                k = v ? members_to_json(v, dependency_members, whole ? ELEMENTSOF(dependency_members) : 1, d) : -ENOMEM;
                list = record_append(list, v);
                if (!list)
                        k = -ENOMEM;
        }
        if (list && k == 0)
                return json_object_set_new(o, "dependencies", list) < 0 ? -ENOMEM : 0;
        json_decref(list);
        return k;
}

static int dependencies_from_json(const json_t *list, DependencyList *ret) {
        size_t n = json_array_size(list);
        int r = 0;

        if (list && (!json_is_array(list) || n > DEPENDENCIES_MAX))
                return -EBADMSG;
        ret->v = n > 0 ? calloc(n, sizeof(*ret->v)) : NULL;
        if (n > 0 && !ret->v)
                return -ENOMEM;
        for (; ret->n < n && r == 0; ret->n++) {
                const json_t *v = json_array_get(list, ret->n);
                Dependency *d = &ret->v[ret->n];

                r = json_is_object(v) ? members_from_json(v, dependency_members, ELEMENTSOF(dependency_members), d) : -EBADMSG;
                if (r == 0 && (!d->name || !dependency_name_is_valid(d->name)))
                        r = -EBADMSG;
        }
        return r;
}

static json_t *numbers_to_json(const Request *r, bool gids) {
        json_t *a = json_array();

        for (size_t i = 0; a && gids && i < r->n_gids; i++)
                a = record_append(a, json_integer(r->gids[i]));
        for (size_t i = 0; a && !gids && i < r->n_limits; i++)
                a = record_append(a, json_pack("[iII]", r->limits[i].resource, (json_int_t) r->limits[i].soft,
                                               (json_int_t) r->limits[i].hard));
        return a;
}

int record_write_request(uint64_t id, const RequestRecord *r, size_t max_bytes, size_t *ret_bytes) {
        json_t *o = json_pack("{s:i, s:o, s:o}", "version", RECORD_VERSION, "gids", numbers_to_json(&r->request, true), "limits",
                              numbers_to_json(&r->request, false));
        size_t len;
        char *text;
        int k = o ? 0 : -ENOMEM;

        if (k == 0)
                k = members_to_json(o, members, ELEMENTSOF(members), r);
        if (k == 0)
                k = language_to_json(o, r->language);
        if (k == 0)
                k = dependencies_to_json(o, r);
        text = k == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
        json_decref(o);
        if (!text)
                return -ENOMEM;
        len = strlen(text);
        k = len > max_bytes ? -EFBIG : record_write_file(id, REQUEST_SUFFIX, text, len);
        free(text);
        if (k == 0)
                *ret_bytes = len;
        return k;
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
        int r = record_read_file(id, REQUEST_SUFFIX, REQUEST_FILE_MAX, &text, &len);

        if (r == 0 && !(o = json_loadb(text, len, 0, NULL)))
                r = -EBADMSG;
        free(text);
        if (r == 0 && json_integer_value(json_object_get(o, "version")) != RECORD_VERSION)
                r = -EBADMSG;
        if (r == 0)
                r = members_from_json(o, members, ELEMENTSOF(members), &record);
        if (r == 0)
                r = numbers_from_json(json_object_get(o, "gids"), json_object_get(o, "limits"), &record.request);
        if (r == 0 && (!record.request.language || !json_object_get(o, "request.uid") || !json_object_get(o, "request.gid")))
                r = -EBADMSG;
        if (r == 0)
                r = language_from_json(json_object_get(o, "language"), record.request.language, &record.language);
        if (r == 0)
                r = dependencies_from_json(json_object_get(o, "dependencies"), &record.dependencies);
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
        r->language = language_free((Language *) r->language);
        dependency_list_done(&r->dependencies);
}
