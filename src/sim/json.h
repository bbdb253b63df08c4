/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/json: figures as JSON. They are numbers under names of our own; only what a caller wrote needs escapes. */
#pragma once

#include <stdio.h>

/* @text between quotes. */
void json_print_string(FILE *f, const char *text);
