/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/unit_paths: which of the caller's paths, and of its dependencies', a query's unit is given, and how. */
#pragma once

#include "daemon/entry.h"
#include "worker/launch.h"

/* Zero-initialise. */
typedef struct UnitPaths {
        StrList bind, bind_read_only; /* none lies in another one, unless a dependency has it */
        StrList requisite, after; /* units, in truth */
        StrList files;            /* what those of the caller are: device, inode and time of birth */
        bool is_uncertain;        /* of some that is not known, or they are others' than the caller's */
} UnitPaths;

void unit_paths_done(UnitPaths *p);

/* Of what a caller names; a dependency's come beside them. */
#define UNIT_PATHS_MAX 3u

/* All of @e that PID 1 gives the unit. The paths were looked at as the caller. Returns 0 or -ENOMEM. */
int unit_paths_collect(const Entry *e, UnitPaths *ret);

/* Can they be mounted one beside the other? Sets @error when not. */
bool unit_paths_are_apart(const UnitPaths *p, Error *error);

/* What the worker sees to: that the directories are those that were looked at; and that those that the unit has read-only, and the
 * query shall not, are made writable. @texts: zero-initialised, holds what the checks point to; the caller's to free. */
int unit_paths_checks(const Entry *e, LaunchCheck checks[static UNIT_PATHS_MAX], StrList *texts, size_t *ret_n);

/* Can the unit be given what the caller named? Sets @error when not. */
bool unit_path_is_usable(const Entry *e, const PathcheckResult *p, Error *error);
