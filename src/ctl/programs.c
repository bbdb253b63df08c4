/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A library of its own, so that tests can link penstockctl with other places. */
#include "ctl/programs.h"

#include <errno.h>
#include <string.h>

const char program_penstockd[] = PENSTOCKD_PATH;
const char program_penstock_sim[] = PENSTOCK_SIM_PATH;

int program_become(const Verb *verb, const char *path, char *argv[]) {
        execv(path, argv);
        report("cannot run %s: %s; is Penstock installed as a whole?", path, strerror(errno));
        return verb->failure;
}
