/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/programs: the other programs that penstockctl runs, where they are installed. */
#pragma once

#include "ctl/ctl.h"

extern const char program_penstockd[], program_penstock_sim[];

/* Become @path with @argv; returns only on failure, @verb->failure after a report. */
int program_become(const Verb *verb, const char *path, char *argv[]);
