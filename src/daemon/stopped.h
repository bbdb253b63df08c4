/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/stopped: what penstockd does, run anew and for a moment, when it is not there. Each returns an exit status. */
#pragma once

#define PENSTOCKD_UNIT "penstockd.service"
/* Another one comes, to take the queries over; SuccessExitStatus= of penstockd.service. For ExecStopPost=, which can't know. */
#define EXIT_ANOTHER_COMES 75

int stopped_run(void);    /* --stopped */
int stopped_closed(void); /* --closed */
