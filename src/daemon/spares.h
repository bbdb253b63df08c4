/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/spares: units that are made before a query asks for one, of the kinds that were seen lately; core/spares says which.
 * A spare is an entry without a query: the engine does not know it, and it holds no quota. A query that comes and agrees
 * with it in all that can be told then takes its ID, and so its unit. When the engine asks for that unit, and its paths
 * have been looked at as its own caller, it must agree in these, too; else the unit goes, and another one of that name is
 * made. docs/units.md tells the whole. */
#pragma once

#include "daemon/unit_plan.h"

/* @e was started cold, by @plan: such queries may come again. May take over what @plan holds, and leaves it empty then. */
void spares_learn(Manager *m, Entry *e, UnitPlan *plan);
/* For the query @e that is not admitted yet: the spare that it shall have, NULL: none. */
Entry *spares_find(Manager *m, Entry *e);
/* @e has the ID of @spare, and takes its unit and its place; @spare is freed. */
void spares_take(Manager *m, Entry *e, Entry *spare);
/* Its paths are known: does the unit that it has taken agree with them? Then it may be its own. If not, its kind is forgotten. */
bool spares_fits(Manager *m, Entry *e);
/* The unit of the spare @e is gone, or was never made. */
void spares_lost(Manager *m, Entry *e);
/* The configuration or the languages are others: none is kept, all is learnt anew. */
void spares_forget(Manager *m);
/* Something happened that may want another one, or one less: looked at when the step is done. */
void spares_look_soon(Manager *m);
void spares_settle(Manager *m);
size_t spares_count(const Manager *m);
void spares_end(Manager *m); /* penstockd ends: those that can be told go by themselves */
