/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/verbs: what several verbs are made of: options, one question to the service, and its answer as JSON or as text. */
#pragma once

#include "ctl/json.h"

typedef json_t *(*InfoJson)(const PenstockInfo *i);
typedef int (*InfoPrint)(const Verb *verb, const PenstockInfo *i); /* returns the exit status */

/* VERB [--json] ID: describe one query. Returns the exit status. */
int describe_run(const Verb *verb, int argc, char *argv[], InfoJson to_json, InfoPrint print);

/* VERB [--json]: the Controller's own properties. Returns the exit status. */
int controller_run(const Verb *verb, int argc, char *argv[], InfoJson to_json, InfoPrint print);

/* VERB: a call without arguments or answer. Returns the exit status. */
int order_run(const Verb *verb, int argc, char *argv[], int (*order)(PenstockClient *c, PenstockError *ret_error));
