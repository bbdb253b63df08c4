/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/unit_paths: which of the caller's paths, and of its dependencies', a query's unit is given, and how. */
#pragma once

#include "daemon/entry.h"

/* Zero-initialise. */
typedef struct UnitPaths {
        StrList read_write, bind, bind_read_only;
        StrList requisite, after; /* units, in truth */
        StrList files;            /* what those of the caller are: device, inode and time of birth */
        bool is_uncertain;        /* of some that is not known, or they are others' than the caller's */
} UnitPaths;

void unit_paths_done(UnitPaths *p);

/* All of @e, whose paths were looked at as the caller. Returns 0 or -ENOMEM. */
int unit_paths_collect(const Entry *e, UnitPaths *ret);

/* Can the unit be given what the caller named? Sets @error when not. */
bool unit_path_is_usable(const Entry *e, const PathcheckResult *p, Error *error);
