/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl/ctl.h"

/* Write the names of the service's languages, "a, b and c"-like, into @buf; "" when it cannot be asked. */
void languages_names(char *buf, size_t size);
