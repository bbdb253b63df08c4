/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/shrink: makes a story that breaks a promise as short as it stays broken, and tells it in words. */
#pragma once

#include "sim/world.h"

/* Leave out of @s (whose .without is ours to change, and as long as the story) what it does not need to break a promise:
 * halves first, then smaller parts, then single queries. Plays it some hundred times. Returns how many are left. */
size_t shrink_story(Story *s);

/* Who does what and when, a line each, and the command that plays it again. Returns 0 or -ENOMEM. */
int shrink_tell(const Story *s, FILE *f);
