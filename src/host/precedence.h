/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/precedence: penstockd's own place on the host it shares: whoever raises limits must not wait for those who wait
 * for it. Children and threads inherit nothing of it. Each returns 0, or -errno and nothing has changed; without them
 * penstockd works, only later on a saturated host. */
#pragma once

/* The calling thread runs before all that is not real-time: SCHED_RR at the lowest real-time priority, so that whatever
 * else on the host is real-time comes first. SCHED_RESET_ON_FORK: children and threads start as ordinary ones (sched(7)),
 * nice 0. By the process and not by CPUSchedulingPolicy=, with which the service would not start at all where the kernel
 * refuses it (CONFIG_RT_GROUP_SCHED, containers). Takes RLIMIT_RTPRIO away from the process and its children after it.
 * -EPERM: the kernel does not grant it. */
int precedence_realtime(void);

/* What was touched once is never reclaimed or read again from disk: mlockall() on fault, so that no more is resident than
 * is used (sealed in advance, the stacks and buffers of a small daemon are 20 MiB). Not inherited by fork(). */
int precedence_lock_memory(void);
