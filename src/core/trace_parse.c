/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/trace_private.h"

#include <errno.h>
#include <string.h>

/* The number in the @len bytes at @text. */
static int parse_number(const char *text, size_t len, uint64_t *ret) {
        char copy[24];

        if (len == 0 || len >= sizeof(copy))
                return -EBADMSG;
        memcpy(copy, text, len);
        copy[len] = 0;
        if (strspn(copy, "0123456789") != len)
                return -EBADMSG;
        errno = 0;
        *ret = strtoull(copy, NULL, 10); /* not u64_parse(), to which the largest number is infinity, and a word */
        return errno ? -EBADMSG : 0;
}

static int parse_field(const Field *f, void *base, const char *value, size_t len) {
        void *p = (char *) base + f->offset;
        bool minus = f->kind == FIELD_I32 && len > 0 && *value == '-';
        uint64_t n = 0;
        int r = 0;

        if (f->kind == FIELD_NAME) {
                if (len >= f->size)
                        return -EBADMSG;
                memcpy(p, value, len);
                ((char *) p)[len] = 0;
                return 0;
        }
        r = parse_number(value + minus, len - minus, &n);
        if (r < 0)
                return r;
        if ((f->kind == FIELD_BOOL && n > 1) || (f->kind == FIELD_U32 && n > UINT32_MAX) ||
            (f->kind == FIELD_I32 && n > INT32_MAX))
                return -EBADMSG;
        if (f->kind == FIELD_BOOL)
                *(bool *) p = n;
        else if (f->kind == FIELD_U32)
                *(uint32_t *) p = (uint32_t) n;
        else if (f->kind == FIELD_I32)
                *(int32_t *) p = minus ? -(int32_t) n : (int32_t) n;
        else
                *(uint64_t *) p = n;
        return 0;
}

static int parse_message(const char *text, Error *ret) {
        size_t n = 0;

        for (const char *s = text; *s; s++) {
                char c = *s;

                if (c == '\\') {
                        s++;
                        if (*s != 'n' && *s != '\\')
                                return -EBADMSG;
                        c = *s == 'n' ? '\n' : '\\';
                }
                if (n + 1 >= sizeof(ret->message))
                        return -EBADMSG;
                ret->message[n++] = c;
        }
        ret->message[n] = 0;
        return 0;
}

static int parse_error_name(const char *value, size_t len, Error *ret) {
        char name[64];

        if (len >= sizeof(name))
                return -EBADMSG;
        memcpy(name, value, len);
        name[len] = 0;
        ret->code = error_from_name(name);
        return ret->code != ERROR_NONE ? 0 : -EBADMSG;
}

/* " NAME=VALUE …" behind the fixed part of a line. */
static int parse_fields(const char *s, const EventShape *shape, void *base, Error *error) {
        while (*s == ' ') {
                const char *name = ++s;
                size_t name_len = strcspn(s, "= "), len;
                const Field *f = shape->fields;
                int r;

                if (name[name_len] != '=')
                        return -EBADMSG;
                s += name_len + 1;
                if (shape->has_error && name_len == strlen("message") && strncmp(name, "message", name_len) == 0)
                        return parse_message(s, error);
                len = strcspn(s, " ");
                while (f && f->name && (strlen(f->name) != name_len || strncmp(f->name, name, name_len) != 0))
                        f++;
                if (f && f->name)
                        r = parse_field(f, base, s, len);
                else
                        r = shape->has_error && name_len == strlen("error") && strncmp(name, "error", name_len) == 0
                                            ? parse_error_name(s, len, error)
                                            : -EBADMSG;
                if (r < 0)
                        return r;
                s += len;
        }
        return *s ? -EBADMSG : 0;
}

static int parse_event(const char *s, TraceRecord *ret) {
        size_t len = strcspn(s, " "), type = 0;
        Event *ev = &ret->event;
        const char *name;
        void *base;

        ret->line = TRACE_LINE_EVENT;
        if (s[len] != ' ' || parse_number(s, len, &ret->now_usec) < 0)
                return -EBADMSG;
        name = s + len + 1;
        len = strcspn(name, " ");
        while (type < _EVENT_MAX && (strlen(trace_events[type].name) != len || strncmp(trace_events[type].name, name, len) != 0))
                type++;
        if (type == _EVENT_MAX || name[len] != ' ')
                return -EBADMSG;
        ev->type = (EventType) type;
        s = name + len + 1;
        len = strcspn(s, " ");
        if (parse_number(s, len, &ev->query_id) < 0)
                return -EBADMSG;
        base = (char *) ev + trace_events[type].offset;
        if (ev->type == EVENT_REQUEST)
                ev->request.spec = base = &ret->spec;
        else if (ev->type == EVENT_ADOPT) {
                ev->adopt.snapshot = base = &ret->snapshot;
                ev->adopt.error = &ret->error;
        } else if (event_has_plain_error(ev->type))
                ev->error = &ret->error;
        else if (trace_events[type].has_error)
                ev->ended.error = &ret->error;
        return parse_fields(s + len, &trace_events[type], base, &ret->error);
}

static int parse_config(const char *text, Config *c) {
        size_t len = strcspn(text, "=");

        for (unsigned k = 0; k < _CONFIG_KEY_MAX; k++) {
                Field f;

                if (trace_config_field((ConfigKey) k, &f) && strlen(f.name) == len && strncmp(f.name, text, len) == 0)
                        return text[len] == '=' ? parse_field(&f, c, text + len + 1, strlen(text + len + 1)) : -EBADMSG;
        }
        return -EBADMSG;
}

int trace_parse_line(const char *line, Config *c, TraceRecord *ret) {
        memset(ret, 0, sizeof(*ret));
        if (strcmp(line, TRACE_HEADER) == 0) {
                ret->line = TRACE_LINE_HEADER;
                *c = (Config) {};
                return 0;
        }
        if (strncmp(line, "c ", 2) == 0) {
                ret->line = TRACE_LINE_CONFIG;
                return parse_config(line + 2, c);
        }
        if (strncmp(line, "start ", 6) == 0) {
                ret->line = TRACE_LINE_START;
                return parse_number(line + 6, strlen(line + 6), &ret->first_id);
        }
        if (strncmp(line, "a ", 2) == 0) {
                ret->line = TRACE_LINE_ACTION;
                return 0;
        }
        return strncmp(line, "e ", 2) == 0 ? parse_event(line + 2, ret) : -EBADMSG;
}
