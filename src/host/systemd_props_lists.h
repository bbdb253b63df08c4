/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/systemd_props_lists: the parts that systemd_props.c puts together. Each returns 0 or more, or -errno. */
#pragma once

#include "host/systemd.h"

/* False for a path that systemd would read as something else; @bound: for BindPaths= and BindReadOnlyPaths=. */
bool props_path_can_pass(const char *path, bool bound);
int props_check_paths(const StrList *paths, Error *ret_error); /* NULL: none */

/* Open "(sv)" of property @name and its variant of @type; and close both. */
int props_open(sd_bus_message *m, const char *name, const char *type);
int props_close(sd_bus_message *m);

int props_append_strings(sd_bus_message *m, const char *name, const char *const *v, size_t n);
/* "-" before each, so that one that vanishes does not fail the start. Nothing for an empty list or NULL. */
int props_append_paths(sd_bus_message *m, const char *name, const StrList *paths);
/* Each path is bound where it is, with what is mounted below it; ignored when it is gone. */
int props_append_binds(sd_bus_message *m, const char *name, const StrList *paths);
/* An allow list (bas): ours, and the words that @extra has under the same name. */
int props_append_filter(sd_bus_message *m, const char *name, const char *const *ours, size_t n,
                        const PairList *extra);
