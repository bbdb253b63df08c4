/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/child: short-lived copies of penstockd that ask what may block (a name service, a user's file system). */
#pragma once

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "core/base.h"

/* The descriptor that a child answers into, after child_shed(). */
#define CHILD_ANSWER_FD 3

/* In the child, first: nothing that it inherited is held by it or outlives it. Signals are as at a program's start,
 * @answer_fd becomes CHILD_ANSWER_FD and all above is closed (a copy of an end of somebody's pipe would keep it open for
 * as long as a file system hangs), it is as killable as any process, and nobody may trace what is a copy of our memory,
 * with other people's queries in it. Exits with 1 on failure. */
void child_shed(int answer_fd);

/* In the child, last: write all of @data into CHILD_ANSWER_FD. Exits with 1 on failure. */
void child_answer(const void *data, size_t size);

/* In penstockd: kill @pid and take its end. Returns at once: one that hangs in the kernel is reaped when it is let go,
 * by @event, which must outlive it. @pid <= 0 is nothing. */
void child_leave(sd_event *event, pid_t pid, uid_t for_whom);

/* How many that were left for one user, or for CHILD_FOR_US, have not ended yet. A user's own file system can hold those
 * that look at it for as long as he likes, so each is counted for himself. */
#define CHILD_FOR_US ((uid_t) -1)
unsigned child_left(uid_t for_whom);
