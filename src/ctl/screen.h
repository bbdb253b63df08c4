/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/screen: the terminal as a canvas is shown on it, and its keys. ncurses; one at a time. */
#pragma once

#include "ctl/canvas.h"

/* Take over the terminal on standard input and output. Returns 0, -ENOTTY when its type ($TERM) is unknown or can't
 * put text at any place, or -ENOMEM; then it is as it was. screen_close() it. */
int screen_open(void);
/* Give the terminal back as it was found; does nothing when it was. */
void screen_close(void);
/* Give it back for a while; screen_redraw() takes it again. */
void screen_suspend(void);

/* Look how large the terminal is now. */
void screen_measure(unsigned *ret_width, unsigned *ret_height);
void screen_show(const Canvas *c);
/* What the terminal shows is not believed: the next screen_show() draws all of it. */
void screen_redraw(void);

/* The next key that was pressed, as a TopKey; false: there is none yet. */
bool screen_key(uint32_t *ret);
