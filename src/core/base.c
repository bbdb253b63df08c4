/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/base.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Locale must not decide what a configuration file means, so no <ctype.h>. */
static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_alpha(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const char *skip_blanks(const char *s) {
        while (is_blank(*s))
                s++;
        return s;
}

uint64_t add_saturating(uint64_t a, uint64_t b) {
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t subtract_saturating(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

uint64_t multiply_saturating(uint64_t a, uint64_t b) {
        uint64_t product;

        return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* Read digits at *@s and move behind them. -EINVAL when there is none, -ERANGE above UINT64_MAX. */
static int digits_parse(const char **s, uint64_t *ret) {
        const char *p = *s;
        uint64_t n = 0;

        if (!is_digit(*p))
                return -EINVAL;
        for (; is_digit(*p); p++)
                if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t) (*p - '0'), &n))
                        return -ERANGE;
        *s = p;
        *ret = n;
        return 0;
}

/* A decimal number as it stands in the text, before its unit is known. */
typedef struct Decimal {
        uint64_t whole;
        const char *fraction; /* its digits; NULL: there was no point */
        size_t n_fraction;
} Decimal;

static int decimal_parse(const char **s, Decimal *ret) {
        Decimal d = {};
        const char *p = *s;
        int r = digits_parse(&p, &d.whole);

        if (r < 0)
                return r;
        if (*p == '.') {
                d.fraction = ++p;
                while (is_digit(*p))
                        p++;
                d.n_fraction = (size_t) (p - d.fraction);
                if (d.n_fraction == 0)
                        return -EINVAL;
        }
        *s = p;
        *ret = d;
        return 0;
}

/* floor(0.FRACTION × @unit). From the last digit to the first each step rounds down, and nested floors of divisions
 * by 10 are the floor of the whole. @unit is below 2^60. */
static uint64_t decimal_fraction_of(const Decimal *d, uint64_t unit) {
        uint64_t f = 0;

        for (size_t i = d->n_fraction; i > 0; i--)
                f = ((uint64_t) (d->fraction[i - 1] - '0') * unit + f) / 10;
        return f;
}

static int decimal_times(const Decimal *d, uint64_t unit, uint64_t *ret) {
        uint64_t n;

        if (__builtin_mul_overflow(d->whole, unit, &n) || __builtin_add_overflow(n, decimal_fraction_of(d, unit), &n))
                return -ERANGE;
        *ret = n;
        return 0;
}

static int percent_of(const Decimal *d, uint64_t ram_bytes, uint64_t *ret) {
        if (ram_bytes == 0)
                return -EINVAL;
        if (d->whole > 100 || (d->whole == 100 && decimal_fraction_of(d, UINT64_C(1) << 40) > 0))
                return -ERANGE;
        *ret = ram_bytes / 100 * d->whole + ram_bytes % 100 * d->whole / 100 +
               decimal_fraction_of(d, ram_bytes / 100);
        return 0;
}

static int size_unit(const char *suffix, size_t len, uint64_t *ret) {
        static const char letters[] = "KMGT";
        const char *l;

        if (len == 0) {
                *ret = 1;
                return 0;
        }
        l = strchr(letters, suffix[0]);
        if (!l || !(len == 1 || (len == 2 && suffix[1] == 'B') || (len == 3 && memcmp(suffix + 1, "iB", 2) == 0)))
                return -EINVAL;
        *ret = KIB << (10 * (l - letters));
        return 0;
}

/* The end of @s without blanks behind it. */
static size_t trimmed_len(const char *s) {
        size_t n = strlen(s);

        while (n > 0 && is_blank(s[n - 1]))
                n--;
        return n;
}

int memstream_close(FILE *f, char *const *text) {
        return fclose(f) != 0 || !*text ? -ENOMEM : 0;
}

int stream_flush(FILE *f) {
        if (fflush(f) == 0 && !ferror(f))
                return 0;
        return errno > 0 ? -errno : -EIO;
}

int size_parse(const char *text, uint64_t ram_bytes, uint64_t *ret_bytes) {
        const char *s = skip_blanks(text), *end = s + trimmed_len(s);
        uint64_t unit, bytes;
        Decimal d;
        int r;

        if ((size_t) (end - s) == strlen("infinity") && strncmp(s, "infinity", strlen("infinity")) == 0) {
                *ret_bytes = SIZE_INFINITY;
                return 0;
        }
        r = decimal_parse(&s, &d);
        if (r < 0)
                return r;
        if (end - s == 1 && *s == '%') {
                r = percent_of(&d, ram_bytes, &bytes);
        } else {
                r = size_unit(s, (size_t) (end - s), &unit);
                if (r == 0 && unit == 1 && d.fraction)
                        r = -EINVAL; /* half a byte is a forgotten unit */
                if (r == 0)
                        r = decimal_times(&d, unit, &bytes);
        }
        if (r < 0)
                return r;
        if (bytes > INT64_MAX)
                return -ERANGE;
        *ret_bytes = bytes;
        return 0;
}

static int duration_unit(const char *s, size_t len, uint64_t *ret_usec) {
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "usec", 1 },
                { "us", 1 },
                { "µs", 1 },
                { "msec", USEC_PER_MSEC },
                { "ms", USEC_PER_MSEC },
                { "seconds", USEC_PER_SEC },
                { "second", USEC_PER_SEC },
                { "sec", USEC_PER_SEC },
                { "s", USEC_PER_SEC },
                { "", USEC_PER_SEC },
                { "minutes", 60 * USEC_PER_SEC },
                { "minute", 60 * USEC_PER_SEC },
                { "min", 60 * USEC_PER_SEC },
                { "m", 60 * USEC_PER_SEC },
                { "hours", 3600 * USEC_PER_SEC },
                { "hour", 3600 * USEC_PER_SEC },
                { "hr", 3600 * USEC_PER_SEC },
                { "h", 3600 * USEC_PER_SEC },
                { "days", 86400 * USEC_PER_SEC },
                { "day", 86400 * USEC_PER_SEC },
                { "d", 86400 * USEC_PER_SEC },
                { "weeks", 604800 * USEC_PER_SEC },
                { "week", 604800 * USEC_PER_SEC },
                { "w", 604800 * USEC_PER_SEC },
        };

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == len && memcmp(units[i].name, s, len) == 0) {
                        *ret_usec = units[i].usec;
                        return 0;
                }
        return -EINVAL;
}

int duration_parse(const char *text, uint64_t *ret_usec) {
        const char *s = skip_blanks(text), *end = s + trimmed_len(s);
        uint64_t sum = 0;

        if ((size_t) (end - s) == strlen("infinity") && strncmp(s, "infinity", strlen("infinity")) == 0) {
                *ret_usec = USEC_INFINITY;
                return 0;
        }
        if (s == end)
                return -EINVAL;
        while (s < end) {
                uint64_t unit, usec = 0;
                const char *word;
                Decimal d;
                int r = decimal_parse(&s, &d);

                if (r < 0)
                        return r;
                s = skip_blanks(s);
                for (word = s; s < end && !is_digit(*s) && !is_blank(*s); s++)
                        ;
                r = duration_unit(word, (size_t) (s - word), &unit);
                if (r == 0)
                        r = decimal_times(&d, unit, &usec);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(sum, usec, &sum) || sum == USEC_INFINITY)
                        return -ERANGE;
                s = skip_blanks(s);
        }
        *ret_usec = sum;
        return 0;
}

int bool_parse(const char *text, bool *ret) {
        static const char *const yes[] = { "yes", "1", "true", "on" }, *const no[] = { "no", "0", "false", "off" };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                if (strcmp(text, yes[i]) != 0 && strcmp(text, no[i]) != 0)
                        continue;
                *ret = strcmp(text, yes[i]) == 0;
                return 0;
        }
        return -EINVAL;
}

int u64_parse(const char *text, uint64_t *ret) {
        uint64_t n;
        int r;

        if (strcmp(text, "infinity") == 0) {
                *ret = UINT64_MAX;
                return 0;
        }
        r = digits_parse(&text, &n);
        if (r == 0 && *text != '\0')
                r = -EINVAL;
        if (r == 0 && n == UINT64_MAX)
                r = -ERANGE; /* would be taken for infinity */
        if (r == 0)
                *ret = n;
        return r;
}

const char *size_format(uint64_t bytes, char buf[static SIZE_TEXT_MAX]) {
        static const char letters[] = "TGMK";
        uint64_t unit = UINT64_C(1) << 40;

        if (bytes == SIZE_INFINITY) {
                snprintf(buf, SIZE_TEXT_MAX, "infinity");
                return buf;
        }
        for (const char *l = letters; *l; l++, unit >>= 10)
                if (bytes >= unit) {
                        unsigned tenths = (unsigned) (bytes % unit * 10 / unit) % 10;

                        /* "64M" is what its owner wrote; "64.0M" says that something was cut. */
                        if (bytes % unit == 0)
                                snprintf(buf, SIZE_TEXT_MAX, "%llu%c", (unsigned long long) (bytes / unit), *l);
                        else
                                snprintf(buf, SIZE_TEXT_MAX, "%llu.%u%c", (unsigned long long) (bytes / unit), tenths, *l);
                        return buf;
                }
        snprintf(buf, SIZE_TEXT_MAX, "%lluB", (unsigned long long) bytes);
        return buf;
}

const char *size_format_exact(uint64_t bytes, char buf[static SIZE_TEXT_MAX]) {
        static const char letters[] = "TGMK";
        uint64_t unit = UINT64_C(1) << 40;

        if (bytes == SIZE_INFINITY) {
                snprintf(buf, SIZE_TEXT_MAX, "infinity");
                return buf;
        }
        for (const char *l = letters; *l; l++, unit >>= 10)
                if (bytes > 0 && bytes % unit == 0) {
                        snprintf(buf, SIZE_TEXT_MAX, "%llu%c", (unsigned long long) (bytes / unit), *l);
                        return buf;
                }
        snprintf(buf, SIZE_TEXT_MAX, "%llu", (unsigned long long) bytes);
        return buf;
}

const char *duration_format(uint64_t usec, char buf[static DURATION_TEXT_MAX]) {
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "d", 86400 * USEC_PER_SEC }, { "h", 3600 * USEC_PER_SEC }, { "min", 60 * USEC_PER_SEC },
                { "s", USEC_PER_SEC },         { "ms", USEC_PER_MSEC },      { "us", 1 },
        };
        size_t n = 0;

        if (usec == USEC_INFINITY || usec == 0) {
                snprintf(buf, DURATION_TEXT_MAX, "%s", usec == 0 ? "0" : "infinity");
                return buf;
        }
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (usec < units[i].usec)
                        continue;
                n += (size_t) snprintf(buf + n, DURATION_TEXT_MAX - n, "%s%llu%s", n > 0 ? " " : "",
                                       (unsigned long long) (usec / units[i].usec), units[i].name);
                usec %= units[i].usec;
        }
        return buf;
}

bool path_is_clean(const char *path) {
        if (path[0] != '/')
                return false;
        if (path[1] == '\0')
                return true;
        for (const char *p = path; *p == '/';) {
                size_t n = strcspn(p + 1, "/");

                if (n == 0 || (n == 1 && p[1] == '.') || (n == 2 && p[1] == '.' && p[2] == '.'))
                        return false;
                p += 1 + n;
        }
        return true;
}

bool identifier_is_valid(const char *s) {
        if (!is_alpha(s[0]) && s[0] != '_')
                return false;
        for (s++; *s; s++)
                if (!is_alpha(*s) && !is_digit(*s) && *s != '_')
                        return false;
        return true;
}
