/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "core/sample.h"

typedef struct Field {
        const char *key;
        size_t offset; /* in Sample */
} Field;

static const Field memory_stat_fields[] = {
        { "anon", offsetof(Sample, anon_bytes) },
        { "file", offsetof(Sample, file_bytes) },
        { "kernel", offsetof(Sample, kernel_bytes) }, /* kernel 5.18 */
        { "sock", offsetof(Sample, sock_bytes) },
        { "shmem", offsetof(Sample, shmem_bytes) },
        { "file_dirty", offsetof(Sample, file_dirty_bytes) },
        { "file_writeback", offsetof(Sample, file_writeback_bytes) },
        { "inactive_anon", offsetof(Sample, inactive_anon_bytes) },
        { "active_anon", offsetof(Sample, active_anon_bytes) },
        { "inactive_file", offsetof(Sample, inactive_file_bytes) },
        { "active_file", offsetof(Sample, active_file_bytes) },
        { "unevictable", offsetof(Sample, unevictable_bytes) },
        { "slab_reclaimable", offsetof(Sample, slab_reclaimable_bytes) },
        { "workingset_refault_anon", offsetof(Sample, workingset_refault_anon) },
        { "workingset_refault_file", offsetof(Sample, workingset_refault_file) },
};

static const Field memory_events_fields[] = {
        { "high", offsetof(Sample, events_high) },
        { "max", offsetof(Sample, events_max) },
        { "oom", offsetof(Sample, events_oom) },
        { "oom_kill", offsetof(Sample, events_oom_kill) },
        { "oom_group_kill", offsetof(Sample, events_oom_group_kill) },
};

/* Read digits at *@p up to @end; moves *@p behind them. False for none, or for a number over 2^64 - 1. */
static bool read_digits(const char **p, const char *end, uint64_t *ret) {
        const char *c = *p;
        uint64_t v = 0;

        for (; c < end && *c >= '0' && *c <= '9'; c++) {
                unsigned digit = (unsigned) (*c - '0');

                if (v > (UINT64_MAX - digit) / 10)
                        return false;
                v = v * 10 + digit;
        }
        if (c == *p)
                return false;
        *p = c;
        *ret = v;
        return true;
}

/* The next line that ends with a newline: [*ret_line, *ret_end). False at the end of the text. */
static bool next_line(const char **text, const char **ret_line, const char **ret_end) {
        const char *nl = strchr(*text, '\n');

        if (!nl)
                return false;
        *ret_line = *text;
        *ret_end = nl;
        *text = nl + 1;
        return true;
}

/* Split "key number": false for any other line. */
static bool read_keyed_line(const char *line, const char *end, size_t *ret_key_len, uint64_t *ret) {
        const char *space = memchr(line, ' ', (size_t) (end - line)), *p;

        if (!space || space == line)
                return false;
        p = space + 1;
        if (!read_digits(&p, end, ret) || p != end)
                return false;
        *ret_key_len = (size_t) (space - line);
        return true;
}

static bool key_is(const char *line, size_t len, const char *key) {
        return strlen(key) == len && memcmp(line, key, len) == 0;
}

static int parse_fields(const char *text, const Field *fields, size_t n_fields, Sample *s) {
        const char *line, *end;
        size_t len, found = 0;
        uint64_t v;

        while (next_line(&text, &line, &end)) {
                if (!read_keyed_line(line, end, &len, &v))
                        continue;
                for (size_t i = 0; i < n_fields; i++)
                        if (key_is(line, len, fields[i].key)) {
                                memcpy((char *) s + fields[i].offset, &v, sizeof v);
                                found++;
                                break;
                        }
        }
        return found > 0 ? 0 : -EBADMSG;
}

int sample_parse_memory_stat(const char *text, Sample *s) {
        return parse_fields(text, memory_stat_fields, ELEMENTSOF(memory_stat_fields), s);
}

int sample_parse_memory_events(const char *text, Sample *s) {
        return parse_fields(text, memory_events_fields, ELEMENTSOF(memory_events_fields), s);
}

/* Find " NAME=number" in the line. */
static bool read_assignment(const char *line, const char *end, const char *name, uint64_t *ret) {
        size_t len = strlen(name);

        for (const char *p = line; p < end; p++) {
                if (*p != ' ' || (size_t) (end - p - 1) <= len || memcmp(p + 1, name, len) != 0)
                        continue;
                p += 1 + len;
                if (*p++ != '=')
                        continue;
                return read_digits(&p, end, ret) && (p == end || *p == ' ');
        }
        return false;
}

int sample_parse_pressure(const char *text, Sample *s) {
        const char *line, *end;
        bool found = false;
        uint64_t v;

        while (next_line(&text, &line, &end)) {
                uint64_t *field = end - line > 5 && memcmp(line, "some ", 5) == 0   ? &s->stall_some_usec
                                  : end - line > 5 && memcmp(line, "full ", 5) == 0 ? &s->stall_full_usec
                                                                                    : NULL;

                if (!field || !read_assignment(line, end, "total", &v))
                        continue;
                *field = v;
                found = true;
        }
        if (!found)
                return -EBADMSG;
        s->has_psi = true;
        return 0;
}

int sample_parse_cpu_pressure(const char *text, Sample *s) {
        Sample read = {};
        int r = sample_parse_pressure(text, &read);

        if (r < 0)
                return r;
        s->cpu_wait_usec = read.stall_some_usec;
        s->has_cpu_wait = true;
        return 0;
}

int sample_parse_value(const char *text, uint64_t *ret) {
        const char *end = strchr(text, '\n'), *p = text;
        uint64_t v;

        if (!end)
                end = text + strlen(text);
        else if (end[1] != '\0')
                return -EBADMSG;
        if (end - text == 3 && memcmp(text, "max", 3) == 0) {
                *ret = SIZE_INFINITY;
                return 0;
        }
        if (!read_digits(&p, end, &v)) {
                while (p < end && *p >= '0' && *p <= '9')
                        p++;
                return p == end && p > text ? -ERANGE : -EBADMSG;
        }
        if (p != end)
                return -EBADMSG;
        if (v == SIZE_INFINITY) /* is our word for "max", never a number of the kernel */
                return -ERANGE;
        *ret = v;
        return 0;
}

int sample_parse_keyed(const char *text, const char *key, uint64_t *ret) {
        const char *line, *end;
        size_t len;
        uint64_t v;

        while (next_line(&text, &line, &end))
                if (read_keyed_line(line, end, &len, &v) && key_is(line, len, key)) {
                        *ret = v;
                        return 0;
                }
        return -EBADMSG;
}

int sample_parse_cpu_stat(const char *text, uint64_t *ret_usage_usec) {
        return sample_parse_keyed(text, "usage_usec", ret_usage_usec);
}

int sample_parse_io_stat(const char *text, uint64_t *ret_read_bytes, uint64_t *ret_write_bytes) {
        uint64_t reads = 0, writes = 0, v;
        bool found = *text == '\0';
        const char *line, *end;

        /* "8:0 rbytes=… wbytes=… rios=…"; a device that was not used can stand there as a bare "8:0 ". */
        while (next_line(&text, &line, &end)) {
                if (read_assignment(line, end, "rbytes", &v)) {
                        reads = v > UINT64_MAX - reads ? UINT64_MAX : reads + v;
                        found = true;
                }
                if (read_assignment(line, end, "wbytes", &v)) {
                        writes = v > UINT64_MAX - writes ? UINT64_MAX : writes + v;
                        found = true;
                }
                if (memchr(line, ':', (size_t) (end - line)))
                        found = true;
        }
        if (!found)
                return -EBADMSG;
        *ret_read_bytes = reads;
        *ret_write_bytes = writes;
        return 0;
}

int sample_parse_cgroup_events(const char *text, bool *ret_populated, bool *ret_frozen) {
        uint64_t populated, frozen;
        int r;

        r = sample_parse_keyed(text, "populated", &populated);
        if (r < 0)
                return r;
        r = sample_parse_keyed(text, "frozen", &frozen); /* kernel 5.2 */
        if (r < 0)
                return r;
        *ret_populated = populated != 0;
        *ret_frozen = frozen != 0;
        return 0;
}

uint64_t sample_residual(const Sample *s) {
        uint64_t kernel = s->kernel_bytes - MIN(s->kernel_bytes, s->slab_reclaimable_bytes);

        return MIN(s->anon_bytes + s->shmem_bytes + kernel + s->sock_bytes, s->current_bytes);
}

void final_numbers_follow(FinalNumbers *n, const FinalNumbers *next) {
        const FinalNumbers before = *n;

        *n = *next;
        n->memory_peak_bytes = MAX(before.memory_peak_bytes, next->memory_peak_bytes);
        n->cpu_usec = add_saturating(before.cpu_usec, next->cpu_usec);
        n->io_read_bytes = add_saturating(before.io_read_bytes, next->io_read_bytes);
        n->io_write_bytes = add_saturating(before.io_write_bytes, next->io_write_bytes);
        n->stall_usec = add_saturating(before.stall_usec, next->stall_usec);
        n->stall_full_usec = add_saturating(before.stall_full_usec, next->stall_full_usec);
}
