/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/plan_command: "penstock-sim plan". */
#pragma once

/* @argv[0] is the verb. Returns the exit status: 0, 1 for a file or figures that can't be taken, 2 for a wrong call. */
int plan_command(int argc, char **argv);
#define PLAN_USAGE "penstock-sim plan [--memory SIZE] [--growth PERCENT] [--set KEY=VALUE[,VALUE…]]… [--json] FILE\n"
