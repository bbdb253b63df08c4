/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/ini_file.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

/* What inih's reader and its handler share: the reader hands out one checked logical line a call, so that the handler
 * knows the true line number and inih never sees what it would misread. */
typedef struct Parse {
        const char *name, *p, *end;
        unsigned next_line, line; /* of the text at @p, and of the logical line handed out last */
        IniFileSet set;
        void *userdata;
        Error *error;
        int result;
} Parse;

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static int fail(Parse *p, const char *what) {
        p->result = error_set(p->error, ERROR_INVALID_ARGUMENT, "%s:%u: %s", p->name, p->line, what);
        return p->result;
}

/* The next physical line without blanks around it; false at the end. */
static bool physical_line(Parse *p, const char **ret, size_t *ret_len) {
        const char *s = p->p, *eol;

        if (s >= p->end)
                return false;
        eol = memchr(s, '\n', (size_t) (p->end - s));
        if (!eol)
                eol = p->end;
        p->p = MIN(eol + 1, p->end);
        p->next_line++;
        while (s < eol && is_blank(*s))
                s++;
        while (eol > s && is_blank(eol[-1]))
                eol--;
        *ret = s;
        *ret_len = (size_t) (eol - s);
        return true;
}

static bool is_comment(const char *s, size_t len) {
        return len > 0 && (s[0] == '#' || s[0] == ';');
}

/* An odd number of backslashes at the end; an even one is only escaped backslashes. */
static bool is_continued(const char *s, size_t len) {
        size_t n = 0;

        while (n < len && s[len - 1 - n] == '\\')
                n++;
        return n % 2 == 1;
}

static int line_check(Parse *p, const char *s, size_t len) {
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        size_t n;

        if (memchr(s, '\0', len))
                return fail(p, "a NUL byte; this is no text file");
        if (!utf8_is_valid(s, len))
                return fail(p, "this line is not valid UTF-8");
        if (s[0] == '[') {
                if (s[len - 1] != ']' || len < 3 || memchr(s, ']', len - 1))
                        return fail(p, "a section is written [Name]");
                if (len - 2 > INI_FILE_SECTION_MAX)
                        return fail(p, "this section's name is too long");
                return 0;
        }
        n = strspn(s, plain);
        while (n > 0 && is_blank(s[n]))
                n++;
        if (n == 0 || s[n] != '=')
                return fail(p, "this line is neither a comment nor [Section] nor KEY=VALUE");
#if !HAVE_INIH_RUNTIME_OPTIONS
        for (size_t i = n + 1; i < len; i++)
                if (s[i] == ';' && is_blank(s[i - 1]))
                        return fail(p, "this build of inih takes \" ;\" for a comment; remove the blank before it");
#endif
        return 0;
}

/* inih's fgets(): one logical line with its newline, NULL at the end and after an error. */
static char *line_read(char *buf, int size, void *stream) {
        Parse *p = stream;
        size_t used = 0, len;
        const char *s;
        bool more;

        do {
                do {
                        p->line = p->next_line;
                        if (p->result < 0 || !physical_line(p, &s, &len))
                                return NULL;
                } while (len == 0 || is_comment(s, len));

                for (more = true; more;) {
                        more = is_continued(s, len);
                        if (used + len + 2 > (size_t) size) {
                                (void) fail(p, "this line is too long");
                                return NULL;
                        }
                        memcpy(buf + used, s, len);
                        used += len;
                        if (!more)
                                break;
                        buf[used - 1] = ' '; /* the backslash */
                        do
                                more = physical_line(p, &s, &len);
                        while (more && is_comment(s, len));
                }
                while (used > 0 && is_blank(buf[used - 1]))
                        used--;
                buf[used] = '\0';
        } while (used == 0);
        if (line_check(p, buf, used) < 0)
                return NULL;
        memcpy(buf + used, "\n", 2);
        return buf;
}

static int assignment_take(void *user, const char *section, const char *key, const char *value) {
        Parse *p = user;

        if (p->result == 0)
                p->result = p->set(section, key, value, p->line, p->userdata);
        return p->result == 0;
}

/* inih calls with the line number or without it, as it was built. */
#if INI_HANDLER_LINENO
static int on_assignment(void *user, const char *section, const char *key, const char *value, int lineno) {
        (void) lineno; /* counts the lines that line_read() handed out */
        return assignment_take(user, section, key, value);
}
#else
static int on_assignment(void *user, const char *section, const char *key, const char *value) {
        return assignment_take(user, section, key, value);
}
#endif

int ini_file_parse(const char *name, const char *text, size_t len, IniFileSet set, void *userdata, Error *ret_error) {
        static const char bom[] = "\xef\xbb\xbf";
        Parse p = { .name = name,
                    .p = text,
                    .end = text + len,
                    .next_line = 1,
                    .set = set,
                    .userdata = userdata,
                    .error = ret_error };
        int r;

        if (len >= strlen(bom) && memcmp(text, bom, strlen(bom)) == 0)
                p.p += strlen(bom);
#if HAVE_INIH_RUNTIME_OPTIONS
        ini_use_stack = false;
        ini_max_line = ini_initial_alloc = INI_FILE_LINE_MAX;
        ini_allow_inline_comments = false;
        ini_allow_multiline = false;
#endif
        r = ini_parse_stream(line_read, &p, on_assignment, &p);
        if (p.result < 0)
                return p.result;
        if (r == -2)
                return -ENOMEM;
        return r == 0 ? 0 : error_set(ret_error, ERROR_INVALID_ARGUMENT, "%s: inih refuses this file", name);
}
