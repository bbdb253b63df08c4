/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LOOK_AGAIN_USEC 20000

static char directory[] = "/tmp/penstock-terminal-XXXXXX", socket_path[64], config_path[64];
static pid_t server;
static char *said; /* by the last command */

static void run(const char *const words[]) {
        const char *argv[64] = { harness_variable("TMUX_PATH"), "-u", "-N", "-S", socket_path };
        Ctl c;

        for (size_t i = 0; words[i]; i++)
                argv[i + 5] = words[i];
        program_start(&c, argv);
        ctl_finish(&c, "", 0);
        if (ctl_exit_status(&c) != 0)
                fail_msg("tmux %s: %s", words[0], c.err_text);
        free(said);
        said = c.out_text;
        c.out_text = NULL;
        ctl_done(&c);
}

#define tmux(...) run((const char *const[]) { __VA_ARGS__, NULL })

/* The name of the socket is there a moment before somebody listens. Without -N who asks in that moment starts a server
 * of his own, in the place of ours, which ends at once, since it has no session: under whoever talks to it next. */
static bool server_answers(void) {
        const char *argv[] = { harness_variable("TMUX_PATH"), "-N", "-S", socket_path, "start-server", NULL };
        int status;
        Ctl c;

        program_start(&c, argv);
        ctl_finish(&c, "", 0);
        status = ctl_exit_status(&c);
        ctl_done(&c);
        return status == 0;
}

static bool again_until(long deadline) {
        if (harness_now_msec() > deadline)
                return false;
        usleep(LOOK_AGAIN_USEC);
        return true;
}

int terminal_server_start(void **state) {
        long deadline = harness_now_msec() + DEADLINE_MSEC;
        FILE *f;

        if (!getenv("TMUX_PATH") || getenv("TMUX_PATH")[0] == '\0') {
                fprintf(stderr, "tmux is not installed\n");
                exit(77); /* meson: skipped */
        }
        if (harness_start(state) != 0)
                return -1;
        unsetenv("TMUX");
        unsetenv("NO_COLOR");
        unsetenv("ENV");
        setenv("LC_ALL", "C.UTF-8", 1);
        assert_non_null(mkdtemp(directory));
        snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
        snprintf(config_path, sizeof(config_path), "%s/tmux.conf", directory);
        f = fopen(config_path, "we");
        assert_non_null(f);
        fputs("set -g default-terminal screen-256color\nset -g status off\nset -s escape-time 0\n", f);
        assert_int_equal(fclose(f), 0);
        /* No daemon, so that it ends with us however we end. */
        server = harness_spawn((const char *const[]) { harness_variable("TMUX_PATH"), "-u", "-D", "-S", socket_path,
                                                       "-f", config_path, NULL },
                               (const int[]) { -1, -1, -1 });
        while (!server_answers())
                assert_true(again_until(deadline));
        return 0;
}

int terminal_server_stop(void **state) {
        harness_stop_server(&server);
        unlink(socket_path);
        unlink(config_path);
        rmdir(directory);
        free(said);
        said = NULL;
        return harness_stop(state);
}

void terminal_close(void) {
        const char *argv[] = { harness_variable("TMUX_PATH"), "-N", "-S", socket_path, "kill-session", "-t", "test",
                               NULL };
        Ctl c;

        program_start(&c, argv); /* perhaps there is none */
        ctl_finish(&c, "", 0);
        ctl_done(&c);
}

static void open_session(unsigned width, unsigned height, const char *command) {
        char columns[16], lines[16];

        terminal_close();
        snprintf(columns, sizeof(columns), "%u", width);
        snprintf(lines, sizeof(lines), "%u", height);
        tmux("new-session", "-d", "-s", "test", "-x", columns, "-y", lines, command);
}

void terminal_open(unsigned width, unsigned height, const char *variables) {
        char command[256];

        snprintf(command, sizeof(command), "env PS1='READY> ' %s sh -i", variables);
        open_session(width, height, command);
        terminal_expect("READY>");
}

pid_t terminal_open_command(unsigned width, unsigned height, const char *command) {
        char line[256];

        snprintf(line, sizeof(line), "exec %s", command);
        open_session(width, height, line);
        return atoi(terminal_says("#{pane_pid}"));
}

void terminal_resize(unsigned width, unsigned height) {
        char columns[16], lines[16];

        snprintf(columns, sizeof(columns), "%u", width);
        snprintf(lines, sizeof(lines), "%u", height);
        tmux("resize-window", "-t", "test", "-x", columns, "-y", lines);
}

void terminal_press_list(const char *const keys[]) {
        const char *words[32] = { "send-keys", "-t", "test" };

        for (size_t i = 0; keys[i]; i++)
                words[i + 3] = keys[i];
        run(words);
}

void terminal_type(const char *text) {
        tmux("send-keys", "-t", "test", "-l", text);
}

void terminal_enter(const char *line) {
        terminal_type(line);
        terminal_press("Enter");
}

const char *terminal_screen(void) {
        tmux("capture-pane", "-p", "-t", "test");
        return said;
}

const char *terminal_coloured_screen(void) {
        tmux("capture-pane", "-p", "-e", "-t", "test");
        return said;
}

const char *terminal_says(const char *format) {
        tmux("display-message", "-p", "-t", "test", format);
        said[strcspn(said, "\n")] = '\0';
        return said;
}

void terminal_expect(const char *text) {
        long deadline = harness_now_msec() + DEADLINE_MSEC;

        while (!strstr(terminal_screen(), text))
                if (!again_until(deadline))
                        fail_msg("\"%s\" does not come on the screen:\n%s", text, said);
}

void terminal_expect_not(const char *text) {
        long deadline = harness_now_msec() + DEADLINE_MSEC;

        while (strstr(terminal_screen(), text))
                if (!again_until(deadline))
                        fail_msg("\"%s\" does not leave the screen:\n%s", text, said);
}

void terminal_expect_says(const char *format, const char *text) {
        long deadline = harness_now_msec() + DEADLINE_MSEC;

        while (strcmp(terminal_says(format), text) != 0)
                if (!again_until(deadline))
                        fail_msg("%s is \"%s\", and does not become \"%s\"", format, said, text);
}
