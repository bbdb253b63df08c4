/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/unit_plan: all that is fixed when the unit of a query is made, and so what a spare unit must agree in. */
#pragma once

#include "daemon/unit_paths.h"

/* Zero-initialise. */
typedef struct UnitPlan {
        UnitSpec spec; /* its numbers; the lists are below, so that a plan can be moved */
        UnitPaths paths;
        PairList extra;
} UnitPlan;

void unit_plan_done(UnitPlan *p);

/* Of @e, whose paths were looked at as the caller; @ret must be empty. Returns 0 or -ENOMEM. */
int unit_plan_make(const Entry *e, UnitPlan *ret);
/* The same before they were, taking each for what it was called: what queries of one kind have in common. */
int unit_plan_guess(Entry *e, UnitPlan *ret);
/* Two plans make the same unit when their keys are equal, provided that the host has the same under each name. @with_files: which
 * files the caller's paths were when they were looked at is part of it. The caller frees it; NULL: no memory. */
char *unit_plan_key(const UnitPlan *p, bool with_files);
/* Can it be told whether a unit that was made of it some time ago is still what one that is made now would be? Not if some of
 * its paths are a dependency's or the language's own, which nobody looks at, or on a file system that does not say since when a
 * file has been there: another one may have its number. */
bool unit_plan_keeps(const UnitPlan *p);
/* Ask PID 1 for it. Returns 0 or -errno; @ret_error is set for what is wrong with @p. */
int unit_plan_start(const UnitPlan *p, SystemdLink *link, uint64_t id, const char *description, Error *ret_error);

/* What the caller named that his unit may be given; returns how many. */
size_t unit_plan_items(const Entry *e, PathcheckItem items[static 3]);
