/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/stopped: what penstockd does when nobody raises limits: as it leaves, and run anew and for a moment when it is
 * not there. */
#pragma once

#include "host/notify.h"

#define PENSTOCKD_UNIT "penstockd.service"
/* Another one comes, to take the queries over; SuccessExitStatus= of penstockd.service. For ExecStopPost=, which can't know. */
#define EXIT_ANOTHER_COMES 75

/* The loop of one that leaves its queries to the next has ended: they are frozen, before anything is waited for.
 * --stopped has the last word on it. */
void stopped_hold(void);
/* What PID 1 keeps for the next one, and has not taken yet, is waited for, and its loss told. */
void stopped_tell(Notify *n);
/* Each returns an exit status. */
int stopped_run(void);    /* --stopped */
int stopped_closed(void); /* --closed */
