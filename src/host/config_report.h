/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/config_report: what `penstockd --check-config` and `--show-config` print. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Check @file alone, or with NULL the whole search path and every language. Warnings and the first error of each file
 * go to @out, then "ok" when there was no error; or one JSON object: {"valid": BOOL, "errors": [TEXT, …], "warnings":
 * [TEXT, …]}. Returns 0, or 1 when something was refused. */
int config_report_check(const char *file, FILE *out, bool json);

/* Print every key of [Controller], as @file alone or with NULL the whole search path sets it, with its effective value and where that came from, as text or as one JSON object:
 * {"KEY": {"value": TEXT, "number": N where it is one, "origin": "FILE:LINE" or "default"}, …}.
 * Of each [Dependency NAME] only whether a request may name it: in JSON "dependencies": {"NAME": {"requestable": BOOL}, …}.
 * Returns 0, or 1 with the error on @out when the configuration is refused. */
int config_report_show(const char *file, FILE *out, bool json);
