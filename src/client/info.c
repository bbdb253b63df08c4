/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/info: an a{sv} from the service, kept with keys in snake case. */
#include <errno.h>
#include <string.h>

#include "client/info.h"

static PenstockInfo *info_new(void) {
        PenstockInfo *i = calloc(1, sizeof(*i));

        if (i)
                i->n_ref = 1;
        return i;
}

EXPORT PenstockInfo *penstock_info_ref(PenstockInfo *i) {
        i->n_ref++;
        return i;
}

static void field_done(Field *f) {
        free(f->key);
        switch (f->type) {
        case PENSTOCK_TYPE_STRING: free(f->string); break;
        case PENSTOCK_TYPE_STRINGS: strlist_done(&f->strings); break;
        case PENSTOCK_TYPE_PAIRS: pairlist_done(&f->pairs); break;
        case PENSTOCK_TYPE_RAISES:
                for (size_t i = 0; i < f->n_raises; i++)
                        free(f->raises[i].cause);
                free(f->raises);
                break;
        default: break;
        }
}

EXPORT PenstockInfo *penstock_info_free(PenstockInfo *i) {
        if (!i || --i->n_ref > 0)
                return NULL;
        for (size_t k = 0; k < i->n; k++)
                field_done(&i->v[k]);
        free(i->v);
        free(i);
        return NULL;
}

EXPORT void penstock_info_list_free(PenstockInfo **list, size_t n) {
        for (size_t k = 0; list && k < n; k++)
                penstock_info_free(list[k]);
        free(list);
}

static bool is_upper(char c) {
        return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c) {
        return c >= 'a' && c <= 'z';
}

/* "MemoryQuotaBytes" to "memory_quota_bytes"; "USec" counts as one word, as "ID" does. Free with free(3). */
char *info_key_from_name(const char *name) {
        size_t len = strlen(name), n = 0;
        char *key = malloc(2 * len + 1);

        if (!key)
                return NULL;
        for (size_t i = 0; i < len; i++) {
                bool usec_tail = i > 0 && name[i - 1] == 'U' && strncmp(name + i, "Sec", 3) == 0;

                if (is_upper(name[i]) && i > 0 && !usec_tail && (is_lower(name[i - 1]) || is_lower(name[i + 1])))
                        if (name[i - 1] != '_')
                                key[n++] = '_';
                key[n++] = (char) (is_upper(name[i]) ? name[i] - 'A' + 'a' : name[i]);
        }
        key[n] = '\0';
        return key;
}

static int read_strings(sd_bus_message *m, StrList *l) {
        const char *s;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &s)) > 0)
                r = strlist_add(l, s);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* a{ss} and a(ss), by @contents. */
static int read_pairs(sd_bus_message *m, const char *contents, PairList *l) {
        const char *key, *value;
        const char *pair = contents[0] == '{' ? "{ss}" : "(ss)";
        int r;

        r = sd_bus_message_enter_container(m, 'a', pair);
        while (r >= 0 && (r = sd_bus_message_read(m, pair, &key, &value)) > 0)
                r = pairlist_set(l, key, value);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_raises(sd_bus_message *m, Field *f) {
        Raise raise = {};
        const char *cause;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(tsttt)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(tsttt)", &raise.at_usec, &cause, &raise.old_bytes,
                                                  &raise.new_bytes, &raise.latency_usec)) > 0) {
                Raise *grown = reallocarray(f->raises, f->n_raises + 1, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                f->raises = grown;
                raise.cause = strdup(cause);
                if (!raise.cause)
                        return -ENOMEM;
                f->raises[f->n_raises++] = raise;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* A basic value. Returns 0 for a type that is not kept; then nothing was read. */
static int read_basic(sd_bus_message *m, char type, Field *f) {
        const char *s;
        int32_t i32;
        uint32_t u32;
        int b, r;

        switch (type) {
        case 't': f->type = PENSTOCK_TYPE_U64; return sd_bus_message_read_basic(m, 't', &f->u64);
        case 'x': f->type = PENSTOCK_TYPE_I64; return sd_bus_message_read_basic(m, 'x', &f->i64);
        case 'u':
                r = sd_bus_message_read_basic(m, 'u', &u32);
                *f = (Field) { .key = f->key, .type = PENSTOCK_TYPE_U64, .u64 = r < 0 ? 0 : u32 };
                return r;
        case 'i':
                r = sd_bus_message_read_basic(m, 'i', &i32);
                *f = (Field) { .key = f->key, .type = PENSTOCK_TYPE_I64, .i64 = r < 0 ? 0 : i32 };
                return r;
        case 'b':
                r = sd_bus_message_read_basic(m, 'b', &b);
                *f = (Field) { .key = f->key, .type = PENSTOCK_TYPE_BOOL, .u64 = r < 0 ? 0 : b };
                return r;
        case 's':
        case 'o':
                r = sd_bus_message_read_basic(m, type, &s);
                if (r < 0)
                        return r;
                f->string = strdup(s);
                f->type = PENSTOCK_TYPE_STRING;
                return f->string ? 1 : -ENOMEM;
        default: return 0;
        }
}

/* The inside of a variant with signature @contents. Returns 0 for a type that is not kept, which was skipped. */
static int read_value(sd_bus_message *m, const char *contents, Field *f) {
        int r;

        if (contents[0] && !contents[1]) {
                r = read_basic(m, contents[0], f);
                if (r != 0)
                        return r;
        } else if (strcmp(contents, "as") == 0) {
                f->type = PENSTOCK_TYPE_STRINGS;
                r = read_strings(m, &f->strings);
                return r < 0 ? r : 1;
        } else if (strcmp(contents, "a{ss}") == 0 || strcmp(contents, "a(ss)") == 0) {
                f->type = PENSTOCK_TYPE_PAIRS;
                r = read_pairs(m, contents + 1, &f->pairs);
                return r < 0 ? r : 1;
        } else if (strcmp(contents, "a(tsttt)") == 0) {
                f->type = PENSTOCK_TYPE_RAISES;
                r = read_raises(m, f);
                return r < 0 ? r : 1;
        }
        r = sd_bus_message_skip(m, contents);
        return r < 0 ? r : 0;
}

static Field *find(const PenstockInfo *i, const char *key) {
        for (size_t k = 0; k < i->n; k++)
                if (strcmp(i->v[k].key, key) == 0)
                        return &i->v[k];
        return NULL;
}

/* Take over @f; a key that was there already keeps its place and gets the new value. */
static int info_put(PenstockInfo *i, Field *f) {
        Field *old = find(i, f->key), *grown;

        if (old) {
                field_done(old);
                *old = *f;
                return 0;
        }
        grown = reallocarray(i->v, i->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        i->v = grown;
        i->v[i->n++] = *f;
        return 0;
}

static int read_entry(sd_bus_message *m, PenstockInfo *i) {
        const char *name, *contents;
        Field f = {};
        char type;
        int r;

        r = sd_bus_message_read_basic(m, 's', &name);
        if (r < 0)
                return r;
        f.key = info_key_from_name(name);
        if (!f.key)
                return -ENOMEM;
        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r > 0)
                r = sd_bus_message_enter_container(m, 'v', contents);
        if (r > 0)
                r = read_value(m, contents, &f);
        if (r > 0)
                r = info_put(i, &f) < 0 ? -ENOMEM : 1;
        if (r <= 0)
                field_done(&f);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int info_read(sd_bus_message *m, PenstockInfo **ret) {
        CLEANUP(info_freep) PenstockInfo *i = info_new();
        int r;

        if (!i)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_entry(m, i);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = i;
        i = NULL;
        return 0;
}

int info_list_read(sd_bus_message *m, PenstockInfo ***ret, size_t *ret_n) {
        PenstockInfo **list = NULL;
        size_t n = 0, allocated = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "a{sv}");
        while (r >= 0 && (r = sd_bus_message_at_end(m, 0)) == 0) {
                if (n == allocated) {
                        size_t more = MAX(allocated * 2, (size_t) 16);
                        PenstockInfo **grown = reallocarray(list, more, sizeof(*list));

                        if (!grown) {
                                r = -ENOMEM;
                                break;
                        }
                        list = grown;
                        allocated = more;
                }
                r = info_read(m, &list[n]);
                if (r >= 0)
                        n++;
        }
        if (r < 0) {
                penstock_info_list_free(list, n);
                return r;
        }
        *ret = list;
        *ret_n = n;
        return 0;
}

const Field *info_find(const PenstockInfo *i, const char *key) {
        return find(i, key);
}
