/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/stop_job: stop and restart do the same to a unit of ours. Which one it is says the job that PID 1 has for it. */
#pragma once

#include <systemd/sd-bus.h>

typedef enum StopKind {
        STOP_UNKNOWN,     /* no answer in time */
        STOP_FOR_GOOD,
        STOP_FOR_RESTART, /* or nobody stops it: Restart= will start it again */
} StopKind;

typedef struct StopJob StopJob;

/* Ask over @bus for the job of @unit; @answer is called once, from the loop, unless it is freed before. Returns 0 or -errno. */
int stop_job_ask(sd_bus *bus, const char *unit, void (*answer)(StopKind kind, void *userdata), void *userdata, StopJob **ret);
StopJob *stop_job_free(StopJob *j); /* takes NULL, returns NULL; also from within @answer */
/* The same by a connection of its own, blocking for a few seconds at most: for one who has nothing else to do. */
StopKind stop_job_ask_now(const char *unit);
