/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/profile: one query's timeline, a bounded table that is always on. libc only.
 *
 * Rows are written at events, so a query at rest writes none. They are kept as differences to the row before, some 40
 * bytes each; when the table is full, every second plain sample goes, and plain samples that follow too closely are
 * left out from then on. What happened (raises, freezes, kills …) goes only when there is no sample left to drop, the
 * first and the last row never. Each row says how many were left out right before it, so that nothing is missing
 * unseen. Memory that cannot be had loses a row, never the query.
 * Invariant: at most PROFILE_ROWS_MAX rows and PROFILE_BYTES_MAX bytes, PROFILE_BYTES_KEPT once closed; time does not
 * run backwards. */
#pragma once

#include "core/governor.h"

#define PROFILE_ROWS_MAX 256u
#define PROFILE_BYTES_MAX 8192u
/* A thousand queries that ended are known at once; together with their records they may take 8 MiB. */
#define PROFILE_BYTES_KEPT 3072u

typedef enum ProfileEvent {
        PROFILE_START,  /* handed over, at the initial quota */
        PROFILE_SAMPLE, /* looked at, and left as it was */
        PROFILE_RAISE,
        PROFILE_DENIED, /* the pool can't pay */
        PROFILE_FREEZE,
        PROFILE_THAW,
        PROFILE_LOWERED, /* idle quota went back to the pool */
        PROFILE_TERMINATE, /* SIGTERM was sent */
        PROFILE_KILL,
        PROFILE_END, /* engine/ is empty; the exact totals */
        _PROFILE_EVENT_MAX,
} ProfileEvent;

const char *profile_event_name(ProfileEvent e);

/* One row. All are uint64_t, in the order of the columns. Sizes and totals are those that were read last: a row of an
 * event without a reading of its own (thaw, kill) repeats them. Totals only rise. */
typedef struct ProfileRow {
        uint64_t time_usec; /* since it began to execute, frozen time included */
        uint64_t event;     /* ProfileEvent */
        uint64_t cause;     /* of raise, denied, freeze: RaiseCause; of terminate, kill, end: Verdict; else 0 */
        uint64_t old_bytes, new_bytes, latency_usec; /* of a raise alone; else 0 */
        uint64_t limit_bytes, high_bytes;            /* memory.max and memory.high in force */
        uint64_t current_bytes;
        uint64_t anon_bytes, shmem_bytes; /* shmem: tmpfs and shared memory */
        uint64_t file_bytes;              /* page cache, without shmem */
        uint64_t kernel_bytes;
        uint64_t need_bytes; /* what it can't give back, as the governor judged it */
        uint64_t stall_some_usec, stall_full_usec, cpu_usec, io_read_bytes, io_write_bytes; /* totals */
        uint64_t pids;
        uint64_t thinned_rows; /* left out between the row before and this one */
} ProfileRow;

/* Zero-initialise; profile_done() at the end. At rest 24 bytes and one allocation of just what it needs. */
typedef struct Profile {
        uint8_t *bytes;
        uint32_t n_bytes, n_rows; /* what is encoded */
        struct ProfileLive *live; /* while it is written */
} Profile;

void profile_done(Profile *p); /* leaves an empty one */

/* Later rows carry these readings. Before PROFILE_START, and after profile_close(), nothing is kept. */
void profile_read(Profile *p, const Sample *s, uint64_t need_bytes);
void profile_read_final(Profile *p, const FinalNumbers *n); /* numbers that could not be read are ignored */
/* Add a row; the first one must be PROFILE_START. @cause as in ProfileRow. PROFILE_SAMPLE adds none when another row
 * has the last reading already: a sample that led to a raise is that raise. */
void profile_add(Profile *p, ProfileEvent event, unsigned cause, uint64_t time_usec);
void profile_add_raise(Profile *p, RaiseCause cause, uint64_t old_bytes, uint64_t new_bytes, uint64_t time_usec);
/* What the kernel has in force now. The first time after a start or a raise it completes that row. */
void profile_limits(Profile *p, uint64_t limit_bytes, uint64_t high_bytes, uint64_t latency_usec);
/* No more rows will come: shrink to what is kept of an ended query. */
void profile_close(Profile *p);

/* What is kept of a query for a later engine: all its rows, of this build's columns. */
#define PROFILE_SAVED_MAX (PROFILE_BYTES_MAX + 1024u)
/* Returns how many bytes of @out it took; 0: there are no rows. */
size_t profile_save(const Profile *p, uint8_t out[static PROFILE_SAVED_MAX]);
/* Into @p, which must be empty: with what profile_save() made of it, @goes_on when more rows will come. False: there is no memory for
 * it, or they are not what was saved, or of another build; @p stays empty. */
bool profile_restore(Profile *p, const uint8_t *saved, size_t len, bool goes_on);

/* Walk the rows from the first: zero-initialise but for .profile, which must not change meanwhile. */
typedef struct ProfileReader {
        const Profile *profile;
        size_t offset, tail;
        ProfileRow row;
} ProfileReader;

/* The next row into @r->row; false: there is none. */
bool profile_next(ProfileReader *r);
/* The next raise. */
bool profile_next_raise(ProfileReader *r);

/* As text: a line of comma-separated values, without its end. Numbers are decimal; "infinity" is a limit that is not
 * there; old_bytes, new_bytes and latency_usec are empty but for a raise. Returns @buf. */
#define PROFILE_LINE_MAX 512
const char *profile_csv_header(void);
const char *profile_csv_line(const ProfileRow *row, char buf[static PROFILE_LINE_MAX]);
