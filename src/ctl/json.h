/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/json: descriptions as JSON, by the keys of the D-Bus names in snake case. jansson. */
#pragma once

#include <jansson.h>

#include "ctl/ctl.h"

/* One entry; null when absent, and for numbers that JSON cannot hold ("infinity"). */
json_t *json_from_info(const PenstockInfo *i, const char *key);
/* null, or {"name", "message"}. */
json_t *json_error(const PenstockInfo *i);
/* All properties of a query, as `list` prints them; `show` has with what quota it started, too. */
json_t *json_query(const PenstockInfo *i);
json_t *json_description(const PenstockInfo *i);
/* The statistics with id, state, unit, language and error. */
json_t *json_stats(const PenstockInfo *i);
/* What the history has of a query; the keys of the CSV's columns, in their order, NULL at the end. */
extern const char *const history_keys[];
json_t *json_history(const PenstockInfo *i);
/* Every entry there is. */
json_t *json_all(const PenstockInfo *i);

/* Print @value, drop it, and return the exit status (@verb->failure for NULL: out of memory). */
int json_print(const Verb *verb, json_t *value);
