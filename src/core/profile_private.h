/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/profile_private: rows as bytes, for profile.c, which writes the table, and profile_save.c, which keeps it. */
#pragma once

#include "core/profile.h"

#define PROFILE_COLUMNS (sizeof(ProfileRow) / sizeof(uint64_t))
#define PROFILE_MASK_BYTES ((PROFILE_COLUMNS + 7) / 8)
#define PROFILE_VARINT_MAX 10u
#define PROFILE_ROW_BYTES_MAX (PROFILE_MASK_BYTES + PROFILE_COLUMNS * PROFILE_VARINT_MAX)
/* A raise and what else one step can say of one query stand here until the kernel's answer completes the raise. */
#define PROFILE_TAIL_ROWS 4u

typedef struct ProfileLive {
        size_t allocated;
        ProfileRow reading; /* what was read last */
        ProfileRow base;    /* the last row encoded */
        ProfileRow tail[PROFILE_TAIL_ROWS];
        size_t n_tail;
        uint64_t gap_usec, sample_usec; /* between plain samples, at the least; when the last one was */
        uint64_t n_skipped;             /* samples left out since the last row */
        uint64_t n_lost;                /* rows that found no memory since the last one encoded */
        bool read;                      /* the reading is in no row yet */
        bool wants_limits;              /* a start or a raise in the tail waits for what the kernel says */
} ProfileLive;

/* What a row is the difference to: what belongs to one row alone starts anew in each. */
ProfileRow profile_base_of(const ProfileRow *before);
/* A mask of the columns that differ, then their differences, small ones short: zigzag, seven bits a byte. */
size_t profile_encode(const ProfileRow *before, const ProfileRow *row, uint8_t out[static PROFILE_ROW_BYTES_MAX]);
/* @row: the row before goes in, the next comes out. Returns the bytes read. */
size_t profile_decode(const uint8_t *in, ProfileRow *row);
