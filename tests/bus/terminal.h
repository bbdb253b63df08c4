/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real terminal with a shell in it, by tmux (TMUX_PATH). Everything is waited for by what is on the screen, within
 * the harness's deadline. */
#pragma once

#include "harness.h"

int terminal_server_start(void **state);
int terminal_server_stop(void **state);

/* A fresh terminal with a shell that has job control and these variables, "A=1 B=2", beside ours. */
void terminal_open(unsigned width, unsigned height, const char *variables);
/* The same with @command in place of the shell. Returns its process's id. */
pid_t terminal_open_command(unsigned width, unsigned height, const char *command);
void terminal_close(void);
void terminal_resize(unsigned width, unsigned height);

/* Keys by tmux's names ("Down", "F9", "C-c", "Escape"), NULL-terminated; and text as it is. */
void terminal_press_list(const char *const keys[]);
#define terminal_press(...) terminal_press_list((const char *const[]) { __VA_ARGS__, NULL })
void terminal_type(const char *text);
/* A line for the shell. */
void terminal_enter(const char *line);

/* What is on the screen; with its escape sequences for colours. Valid until the next call. */
const char *terminal_screen(void);
const char *terminal_coloured_screen(void);
/* What tmux says of the terminal, by its FORMATS ("#{alternate_on}"). Valid until the next call. */
const char *terminal_says(const char *format);

/* Wait until @text is on the screen, or no longer. */
void terminal_expect(const char *text);
void terminal_expect_not(const char *text);
void terminal_expect_says(const char *format, const char *text);
