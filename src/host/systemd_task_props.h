/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/systemd_task_props: the properties of a task's transient service. Touches only the message. */
#pragma once

#include "host/systemd_task.h"

#define TASK_NAME_MAX 96

/* Append the array a(sv) of @spec's properties to @m, for the unit @name. Returns 0 or -errno; then @m is not fit for
 * use. */
int systemd_task_props_append(sd_bus_message *m, const char *name, const TaskSpec *spec);
