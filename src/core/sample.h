/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/sample: what the kernel says of one query's engine/ group, as plain numbers; and its text, parsed. libc only.
 */
#pragma once

#include "core/base.h"

/* One consistent reading. A file that is not there leaves zeros and its has_ flag false. */
typedef struct Sample {
        /* memory.stat. kernel_bytes is `kernel`: stacks, page tables, per-CPU and slab, of which
         * slab_reclaimable_bytes is what the kernel may drop. Socket buffers are charged, but are not in `kernel`. */
        uint64_t anon_bytes, file_bytes, kernel_bytes, shmem_bytes, file_dirty_bytes, file_writeback_bytes;
        uint64_t inactive_anon_bytes, active_anon_bytes, inactive_file_bytes, active_file_bytes, unevictable_bytes;
        uint64_t slab_reclaimable_bytes, sock_bytes;
        uint64_t workingset_refault_file, workingset_refault_anon; /* pages, rising */
        /* memory.current, and the limits in force as read back */
        uint64_t current_bytes, max_bytes, high_bytes; /* SIZE_INFINITY: "max" */
        /* memory.events.local: rising counts */
        uint64_t events_high, events_max, events_oom, events_oom_kill, events_oom_group_kill;
        /* memory.pressure: rising stall time */
        uint64_t stall_some_usec, stall_full_usec;
        uint64_t pids; /* pids.current counts threads too */
        /* cpu.stat and io.stat: rising totals, if has_usage: no raise depends on them, so they are not read each time; with
         * them, if has_cpu_wait, "some" of cpu.pressure: for how long a task of it was ready and got no processor */
        uint64_t cpu_usec, io_read_bytes, io_write_bytes, cpu_wait_usec;
        bool has_psi, frozen, populated, has_usage, has_cpu_wait;
} Sample;

/* What is known when engine/ is empty for good. */
typedef struct FinalNumbers {
        uint64_t memory_peak_bytes, cpu_usec, io_read_bytes, io_write_bytes, stall_usec, stall_full_usec;
        uint64_t current_bytes, anon_bytes, shmem_bytes, file_bytes, kernel_bytes; /* as in a Sample */
        uint64_t events_high, events_max, events_oom, events_oom_kill, pids_max_events;
        uint64_t above_oom;  /* how often the limits of its unit and of penstock.slice were met since it began */
        uint64_t oomd_kills; /* processes of it, or of its unit, that systemd-oomd killed */
        uint64_t residual_bytes; /* still charged and not page cache: what tmpfs and shared memory hold on to */
} FinalNumbers;

/* The numbers of a run in @next come after those of an earlier one in @n (zeros: there was none): sums of what was used, the higher
 * peak, and all else of the later one. */
void final_numbers_follow(FinalNumbers *n, const FinalNumbers *next);

/* Parse the text of a kernel file into @s (fields not named in the text keep their value).
 * Each takes @text NUL-terminated and ignores unknown keys and whatever is not "key number". The kernel ends every
 * line with a newline: a last line without one was cut by a short buffer, and is ignored too, since a cut number
 * reads as a smaller one. Returns 0, or -EBADMSG when nothing could be read from it. */
int sample_parse_memory_stat(const char *text, Sample *s);
int sample_parse_memory_events(const char *text, Sample *s);
/* Sets has_psi. "full" is missing for the whole host's CPU only, never here. */
int sample_parse_pressure(const char *text, Sample *s);
/* "some" of cpu.pressure; sets has_cpu_wait. */
int sample_parse_cpu_pressure(const char *text, Sample *s);
/* One number or "max"; the newline may be missing. Returns 0, -EBADMSG, or -ERANGE for more than 2^64 - 2. */
int sample_parse_value(const char *text, uint64_t *ret);
/* One number of "key number" lines, e.g. usage_usec of cpu.stat, max of pids.events. */
int sample_parse_keyed(const char *text, const char *key, uint64_t *ret);
/* usage_usec of cpu.stat; the sum of rbytes= and wbytes= of io.stat (0 for an empty text: no device was used). */
int sample_parse_cpu_stat(const char *text, uint64_t *ret_usage_usec);
int sample_parse_io_stat(const char *text, uint64_t *ret_read_bytes, uint64_t *ret_write_bytes);
/* populated and frozen of cgroup.events. */
int sample_parse_cgroup_events(const char *text, bool *ret_populated, bool *ret_frozen);

/* What is still charged and can't be dropped: anonymous and shared memory, and the kernel's own. Never more than
 * memory.current. */
uint64_t sample_residual(const Sample *s);
