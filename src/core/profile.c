/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/profile_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/query.h"

typedef enum ColumnKind { NUMBER, EVENT, CAUSE, OF_RAISE } ColumnKind;

static const struct {
        const char *name;
        ColumnKind kind;
} columns[PROFILE_COLUMNS] = {
        { "time_usec", NUMBER },       { "event", EVENT },        { "cause", CAUSE },
        { "old_bytes", OF_RAISE },     { "new_bytes", OF_RAISE }, { "latency_usec", OF_RAISE },
        { "limit_bytes", NUMBER },     { "high_bytes", NUMBER },  { "current_bytes", NUMBER },
        { "anon_bytes", NUMBER },      { "shmem_bytes", NUMBER }, { "file_bytes", NUMBER },
        { "kernel_bytes", NUMBER },    { "need_bytes", NUMBER },  { "stall_some_usec", NUMBER },
        { "stall_full_usec", NUMBER }, { "cpu_usec", NUMBER },    { "io_read_bytes", NUMBER },
        { "io_write_bytes", NUMBER },  { "pids", NUMBER },        { "thinned_rows", NUMBER },
};

static uint64_t get_column(const ProfileRow *row, size_t i) {
        uint64_t v;

        memcpy(&v, (const char *) row + i * sizeof(v), sizeof(v));
        return v;
}

static void set_column(ProfileRow *row, size_t i, uint64_t v) {
        memcpy((char *) row + i * sizeof(v), &v, sizeof(v));
}

ProfileRow profile_base_of(const ProfileRow *before) {
        ProfileRow base = *before;

        base.event = base.cause = base.old_bytes = base.new_bytes = base.latency_usec = base.thinned_rows = 0;
        return base;
}

size_t profile_encode(const ProfileRow *before, const ProfileRow *row, uint8_t out[static PROFILE_ROW_BYTES_MAX]) {
        ProfileRow base = profile_base_of(before);
        size_t n = PROFILE_MASK_BYTES;

        memset(out, 0, PROFILE_MASK_BYTES);
        for (size_t i = 0; i < PROFILE_COLUMNS; i++) {
                uint64_t d = get_column(row, i) - get_column(&base, i); /* wraps, and back again */

                if (d == 0)
                        continue;
                out[i / 8] = (uint8_t) (out[i / 8] | 1u << i % 8);
                d = d << 1 ^ (d >> 63 ? UINT64_MAX : 0);
                for (; d >= 0x80; d >>= 7)
                        out[n++] = (uint8_t) (d | 0x80);
                out[n++] = (uint8_t) d;
        }
        return n;
}

size_t profile_decode(const uint8_t *in, ProfileRow *row) {
        size_t n = PROFILE_MASK_BYTES;

        *row = profile_base_of(row);
        for (size_t i = 0; i < PROFILE_COLUMNS; i++) {
                unsigned shift = 0;
                uint64_t d = 0;

                if (!(in[i / 8] & 1u << i % 8))
                        continue;
                do
                        d |= (uint64_t) (in[n] & 0x7f) << shift, shift += 7;
                while (in[n++] & 0x80);
                set_column(row, i, get_column(row, i) + (d >> 1 ^ (d & 1 ? UINT64_MAX : 0)));
        }
        return n;
}

bool profile_next(ProfileReader *r) {
        const Profile *p = r->profile;

        if (r->offset < p->n_bytes) {
                r->offset += profile_decode(p->bytes + r->offset, &r->row);
                return true;
        }
        if (!p->live || r->tail >= p->live->n_tail)
                return false;
        r->row = p->live->tail[r->tail++];
        return true;
}

bool profile_next_raise(ProfileReader *r) {
        while (profile_next(r))
                if (r->row.event == PROFILE_RAISE)
                        return true;
        return false;
}

/* The first and the last row stay. */
static bool may_go(const ProfileRow *row, size_t i, size_t n, bool samples) {
        return i > 0 && i < n - 1 && (row->event == PROFILE_SAMPLE) == samples;
}

/* Every second plain sample goes; where there is none, every second of the others. */
static void choose(const ProfileRow rows[], size_t n, bool keep[]) {
        bool samples = false, drop = true;

        for (size_t i = 0; i < n; i++)
                samples = samples || may_go(&rows[i], i, n, true);
        for (size_t i = 0; i < n; i++) {
                keep[i] = true;
                if (!may_go(&rows[i], i, n, samples))
                        continue;
                keep[i] = !drop;
                drop = !drop;
        }
}

/* Write the rows that are kept over the old ones. They never take more bytes: the difference across a gap is at most
 * a byte longer than the longer one of the two that it replaces, and none of them is empty. */
static void rewrite(Profile *p, const ProfileRow rows[], size_t n, const bool keep[], ProfileRow *ret_last) {
        ProfileRow before = {}, row;
        uint8_t bytes[PROFILE_ROW_BYTES_MAX];
        uint64_t left_out = 0;
        size_t at = 0, len;

        p->n_rows = 0;
        for (size_t i = 0; i < n; i++) {
                row = rows[i];
                if (!keep[i]) {
                        left_out += 1 + row.thinned_rows;
                        continue;
                }
                row.thinned_rows += left_out;
                left_out = 0;
                len = profile_encode(&before, &row, bytes);
                assert(at + len <= p->n_bytes);
                memcpy(p->bytes + at, bytes, len);
                at += len;
                before = row;
                p->n_rows++;
        }
        p->n_bytes = (uint32_t) at;
        *ret_last = before;
}

/* Drop rows until at most so many rows and bytes are left. False: no memory, then nothing changed. */
static bool thin(Profile *p, size_t max_rows, size_t max_bytes, ProfileRow *ret_last) {
        while (p->n_rows > max_rows || p->n_bytes > max_bytes) {
                size_t n = p->n_rows;
                CLEANUP(freep) ProfileRow *rows = calloc(n, sizeof(*rows));
                ProfileReader r = { .profile = p };
                bool keep[PROFILE_ROWS_MAX];

                if (!rows)
                        return false;
                for (size_t i = 0; i < n && profile_next(&r); i++)
                        rows[i] = r.row;
                choose(rows, n, keep);
                rewrite(p, rows, n, keep, ret_last);
        }
        return true;
}

static_assert(3 * PROFILE_ROW_BYTES_MAX < PROFILE_BYTES_KEPT,
              "first and last row always fit, so that thinning comes to an end");

/* Room for one more encoded row, by thinning or growing. */
static bool make_room(Profile *p) {
        size_t wanted = p->n_bytes + PROFILE_ROW_BYTES_MAX;
        ProfileLive *l = p->live;
        uint8_t *bytes;

        if (p->n_rows + PROFILE_TAIL_ROWS >= PROFILE_ROWS_MAX || wanted > PROFILE_BYTES_MAX) {
                if (!thin(p, PROFILE_ROWS_MAX * 3 / 4, PROFILE_BYTES_MAX * 3 / 4, &l->base))
                        return false;
                /* As dense as what is left: else the end of a long run would be all that is kept of it. */
                l->gap_usec = l->base.time_usec / (PROFILE_ROWS_MAX / 2);
                wanted = p->n_bytes + PROFILE_ROW_BYTES_MAX;
        }
        if (wanted <= l->allocated)
                return true;
        wanted = MIN(2 * wanted, PROFILE_BYTES_MAX);
        bytes = realloc(p->bytes, wanted);
        if (!bytes)
                return false;
        l->allocated = wanted;
        p->bytes = bytes;
        return true;
}

/* The oldest row of the tail is as it will stay: encode it. */
static void settle_one(Profile *p) {
        uint8_t bytes[PROFILE_ROW_BYTES_MAX];
        ProfileLive *l = p->live;
        size_t len;

        if (make_room(p)) {
                l->tail[0].thinned_rows += l->n_lost;
                l->n_lost = 0;
                len = profile_encode(&l->base, &l->tail[0], bytes);
                memcpy(p->bytes + p->n_bytes, bytes, len);
                p->n_bytes += (uint32_t) len;
                p->n_rows++;
                l->base = l->tail[0];
        } else
                l->n_lost += 1 + l->tail[0].thinned_rows;
        l->n_tail--;
        memmove(&l->tail[0], &l->tail[1], l->n_tail * sizeof(l->tail[0]));
}

void profile_done(Profile *p) {
        free(p->live);
        free(p->bytes);
        *p = (Profile) {};
}

void profile_read(Profile *p, const Sample *s, uint64_t need_bytes) {
        ProfileRow *to;

        if (!p->live)
                return;
        p->live->read = true;
        to = &p->live->reading;
        to->limit_bytes = s->max_bytes;
        to->high_bytes = s->high_bytes;
        to->current_bytes = s->current_bytes;
        to->anon_bytes = s->anon_bytes;
        to->shmem_bytes = s->shmem_bytes;
        to->file_bytes = s->file_bytes - MIN(s->file_bytes, s->shmem_bytes); /* the kernel's `file` counts both */
        to->kernel_bytes = s->kernel_bytes;
        to->need_bytes = need_bytes;
        to->pids = s->pids;
        if (s->has_psi) {
                to->stall_some_usec = s->stall_some_usec;
                to->stall_full_usec = s->stall_full_usec;
        }
        if (s->has_usage) {
                to->cpu_usec = s->cpu_usec;
                to->io_read_bytes = s->io_read_bytes;
                to->io_write_bytes = s->io_write_bytes;
        }
}

void profile_read_final(Profile *p, const FinalNumbers *n) {
        ProfileRow *to;

        if (!p->live || n->memory_peak_bytes == 0)
                return;
        to = &p->live->reading;
        to->current_bytes = n->current_bytes;
        to->anon_bytes = n->anon_bytes;
        to->shmem_bytes = n->shmem_bytes;
        to->file_bytes = n->file_bytes - MIN(n->file_bytes, n->shmem_bytes);
        to->kernel_bytes = n->kernel_bytes;
        to->need_bytes = n->residual_bytes;
        to->stall_some_usec = n->stall_usec;
        to->stall_full_usec = n->stall_full_usec;
        to->cpu_usec = n->cpu_usec;
        to->io_read_bytes = n->io_read_bytes;
        to->io_write_bytes = n->io_write_bytes;
        to->pids = 0;
}

static void add_row(Profile *p, const ProfileRow *row) {
        ProfileLive *l = p->live;

        if (l->n_tail == PROFILE_TAIL_ROWS)
                settle_one(p);
        l->tail[l->n_tail] = *row;
        l->tail[l->n_tail++].thinned_rows = l->n_skipped;
        l->n_skipped = 0;
        l->read = false;
}

void profile_add(Profile *p, ProfileEvent event, unsigned cause, uint64_t time_usec) {
        ProfileLive *l;
        ProfileRow row;

        if (event == PROFILE_START && !p->bytes && !p->live)
                p->live = calloc(1, sizeof(*p->live));
        l = p->live;
        if (!l)
                return;
        if (event == PROFILE_SAMPLE && !l->read)
                return;
        if (event == PROFILE_SAMPLE) {
                if (time_usec - l->sample_usec < l->gap_usec) {
                        l->n_skipped++;
                        return;
                }
                l->sample_usec = time_usec;
        }
        row = l->reading;
        row.time_usec = time_usec;
        row.event = event;
        row.cause = cause;
        add_row(p, &row);
        l->wants_limits = l->wants_limits || event == PROFILE_START;
}

void profile_add_raise(Profile *p, RaiseCause cause, uint64_t old_bytes, uint64_t new_bytes, uint64_t time_usec) {
        ProfileRow row;

        if (!p->live)
                return;
        row = p->live->reading;
        row.time_usec = time_usec;
        row.event = PROFILE_RAISE;
        row.cause = cause;
        row.old_bytes = old_bytes;
        row.new_bytes = new_bytes;
        add_row(p, &row);
        p->live->wants_limits = true;
}

void profile_limits(Profile *p, uint64_t limit_bytes, uint64_t high_bytes, uint64_t latency_usec) {
        ProfileLive *l = p->live;

        if (!l)
                return;
        l->reading.limit_bytes = limit_bytes;
        l->reading.high_bytes = high_bytes;
        for (size_t i = l->n_tail; l->wants_limits && i > 0; i--) {
                ProfileRow *row = &l->tail[i - 1];

                row->limit_bytes = limit_bytes; /* and that of a thaw in the same step */
                row->high_bytes = high_bytes;
                if (row->event == PROFILE_RAISE)
                        row->latency_usec = latency_usec;
                if (row->event == PROFILE_RAISE || row->event == PROFILE_START)
                        break;
        }
        l->wants_limits = false;
}

void profile_close(Profile *p) {
        uint8_t *bytes;
        ProfileRow last;

        if (!p->live)
                return;
        while (p->live->n_tail > 0)
                settle_one(p);
        free(p->live);
        p->live = NULL;
        /* Without the memory to thin them, they stay as they are. */
        (void) thin(p, PROFILE_ROWS_MAX, PROFILE_BYTES_KEPT, &last);
        bytes = p->n_bytes > 0 ? realloc(p->bytes, p->n_bytes) : NULL;
        if (bytes)
                p->bytes = bytes;
}

const char *profile_event_name(ProfileEvent e) {
        static const char *const names[_PROFILE_EVENT_MAX] = {
                [PROFILE_START] = "start",         [PROFILE_SAMPLE] = "sample", [PROFILE_RAISE] = "raise",
                [PROFILE_DENIED] = "denied",       [PROFILE_FREEZE] = "freeze", [PROFILE_THAW] = "thaw",
                [PROFILE_TERMINATE] = "terminate", [PROFILE_KILL] = "kill",     [PROFILE_END] = "end",
                [PROFILE_LOWERED] = "lowered",
        };

        return names[e];
}

static const char *cause_name(const ProfileRow *row) {
        switch (row->event) {
        case PROFILE_RAISE:
        case PROFILE_DENIED:
        case PROFILE_FREEZE: return raise_cause_name((RaiseCause) row->cause);
        case PROFILE_TERMINATE:
        case PROFILE_KILL:
        case PROFILE_END: return verdict_name((Verdict) row->cause);
        default: return "";
        }
}

const char *profile_csv_header(void) {
        static char header[PROFILE_LINE_MAX];

        if (header[0] == '\0')
                for (size_t i = 0, n = 0; i < PROFILE_COLUMNS; i++)
                        n += (size_t) snprintf(header + n, sizeof(header) - n, "%s%s", i > 0 ? "," : "",
                                               columns[i].name);
        return header;
}

const char *profile_csv_line(const ProfileRow *row, char buf[static PROFILE_LINE_MAX]) {
        size_t n = 0;

        for (size_t i = 0; i < PROFILE_COLUMNS; i++) {
                uint64_t v = get_column(row, i);
                char number[24] = "";

                if (v == SIZE_INFINITY)
                        snprintf(number, sizeof(number), "infinity");
                else if (columns[i].kind == NUMBER || row->event == PROFILE_RAISE)
                        snprintf(number, sizeof(number), "%" PRIu64, v);
                n += (size_t) snprintf(buf + n, PROFILE_LINE_MAX - n, "%s%s", i > 0 ? "," : "",
                                       columns[i].kind == EVENT   ? profile_event_name((ProfileEvent) v)
                                       : columns[i].kind == CAUSE ? cause_name(row)
                                                                  : number);
        }
        return buf;
}
