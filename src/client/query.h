/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/query: what a query's handle is made of, for query.c, async.c and watch.c. */
#pragma once

#include "client/internal.h"

/* Forget the asynchronous calls that were not answered yet. */
void calls_free(PenstockQuery *q);
