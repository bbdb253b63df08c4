/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/record_members.h"

#include <errno.h>
#include <string.h>

json_t *record_append(json_t *list, json_t *element) {
        if (list && json_array_append_new(list, element) == 0)
                return list;
        json_decref(list);
        return NULL;
}

static json_t *strings_to_json(const StrList *l) {
        json_t *a = json_array();

        for (size_t i = 0; a && i < l->n; i++)
                a = record_append(a, json_string(l->v[i]));
        return a;
}

/* Their order matters (a later environment variable wins), and an object has none by contract. */
static json_t *pairs_to_json(const PairList *l) {
        json_t *a = json_array();

        for (size_t i = 0; a && i < l->n; i++)
                a = record_append(a, json_pack("[ss]", l->v[i].key, l->v[i].value));
        return a;
}

static json_t *member_to_json(const Member *m, const void *base) {
        const void *p = (const char *) base + m->offset;

        switch (m->kind) {
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

static bool is_set(const Member *m, const void *base) {
        const void *p = (const char *) base + m->offset;

        return m->kind == MEMBER_STRING    ? *(char *const *) p != NULL
               : m->kind == MEMBER_STRINGS ? ((const StrList *) p)->n > 0
               : m->kind == MEMBER_PAIRS   ? ((const PairList *) p)->n > 0
                                           : true;
}

int members_to_json(json_t *o, const Member *members, size_t n, const void *base) {
        for (size_t i = 0; i < n; i++)
                if (is_set(&members[i], base) && json_object_set_new(o, members[i].name, member_to_json(&members[i], base)) < 0)
                        return -ENOMEM;
        return 0;
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

static int member_from_json(const json_t *v, const Member *m, void *base) {
        void *p = (char *) base + m->offset;
        json_int_t n = json_integer_value(v);

        switch (m->kind) {
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

int members_from_json(const json_t *o, const Member *members, size_t n, void *base) {
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++) {
                const json_t *v = json_object_get(o, members[i].name);

                if (v)
                        r = member_from_json(v, &members[i], base);
        }
        return r;
}
