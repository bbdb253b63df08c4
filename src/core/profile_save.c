/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rows of a query that outlives its engine. What is read back is a file's: nothing of it is believed. */
#include "core/profile_private.h"

#include <assert.h>
#include <string.h>

#include "core/query.h"

typedef struct SavedHeader {
        uint32_t version, columns, n_rows;
} SavedHeader;

#define SAVED_VERSION 1u
static_assert(sizeof(SavedHeader) + PROFILE_TAIL_ROWS * PROFILE_ROW_BYTES_MAX + PROFILE_BYTES_MAX <= PROFILE_SAVED_MAX, "all rows fit");

size_t profile_save(const Profile *p, uint8_t out[static PROFILE_SAVED_MAX]) {
        SavedHeader h = { SAVED_VERSION, PROFILE_COLUMNS, p->n_rows };
        size_t n = sizeof(h);
        ProfileRow before = {};

        if (p->n_bytes > 0)
                memcpy(out + n, p->bytes, p->n_bytes);
        n += p->n_bytes;
        if (p->live)
                before = p->live->base;
        for (size_t i = 0; p->live && i < p->live->n_tail; i++) {
                n += profile_encode(&before, &p->live->tail[i], out + n);
                before = p->live->tail[i];
                h.n_rows++;
        }
        memcpy(out, &h, sizeof(h));
        return h.n_rows > 0 ? n : 0;
}

/* The length of the row that begins here; 0: there is no whole one. */
static size_t encoded_length(const uint8_t *in, size_t len) {
        size_t n = PROFILE_MASK_BYTES, start;

        if (len < PROFILE_MASK_BYTES)
                return 0;
        for (size_t i = 0; i < 8 * PROFILE_MASK_BYTES; i++) {
                if (!(in[i / 8] & 1u << i % 8))
                        continue;
                for (start = n; n < len && in[n] & 0x80; n++)
                        ;
                if (i >= PROFILE_COLUMNS || n++ >= len || n - start > PROFILE_VARINT_MAX)
                        return 0;
        }
        return n;
}

static bool is_row(const ProfileRow *row, const ProfileRow *before, bool first) {
        bool by_raise = row->event == PROFILE_RAISE || row->event == PROFILE_DENIED || row->event == PROFILE_FREEZE;

        return row->event < _PROFILE_EVENT_MAX && (row->event == PROFILE_START) == first && row->time_usec >= before->time_usec &&
               row->cause < (by_raise ? (uint64_t) _RAISE_CAUSE_MAX : (uint64_t) _VERDICT_MAX);
}

/* Are these @n_rows rows? The last one goes to @ret_last. */
static bool are_rows(const uint8_t *bytes, size_t len, uint32_t n_rows, ProfileRow *ret_last) {
        ProfileRow row = {}, before = {};

        for (uint32_t i = 0; i < n_rows; i++) {
                size_t n = encoded_length(bytes, len);

                if (n == 0)
                        return false;
                (void) profile_decode(bytes, &row);
                if (!is_row(&row, &before, i == 0))
                        return false;
                before = row;
                bytes += n;
                len -= n;
        }
        *ret_last = row;
        return len == 0;
}

bool profile_restore(Profile *p, const uint8_t *saved, size_t len, bool goes_on) {
        const uint8_t *rows = saved + sizeof(SavedHeader);
        size_t n = len - sizeof(SavedHeader);
        SavedHeader h;
        ProfileRow last;

        assert(!p->bytes && !p->live);
        if (len <= sizeof(h) || len > PROFILE_SAVED_MAX)
                return false;
        memcpy(&h, saved, sizeof(h));
        if (h.version != SAVED_VERSION || h.columns != PROFILE_COLUMNS || h.n_rows > PROFILE_ROWS_MAX || !are_rows(rows, n, h.n_rows, &last))
                return false;
        p->bytes = malloc(n);
        p->live = goes_on ? calloc(1, sizeof(*p->live)) : NULL;
        if (!p->bytes || (goes_on && !p->live)) {
                profile_done(p);
                return false;
        }
        memcpy(p->bytes, rows, n);
        p->n_bytes = (uint32_t) n;
        p->n_rows = h.n_rows;
        if (goes_on) {
                p->live->allocated = n;
                p->live->base = last;
                p->live->reading = profile_base_of(&last);
                p->live->sample_usec = last.time_usec;
                if (h.n_rows > PROFILE_ROWS_MAX / 2) /* it was thinned, or would be soon */
                        p->live->gap_usec = last.time_usec / (PROFILE_ROWS_MAX / 2);
        }
        return true;
}
