/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/terminal: what may be written to where somebody reads. */
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ctl/ctl.h"

bool terminal_takes_escapes(int fd) {
        const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

        return isatty(fd) && term && term[0] != '\0' && strcmp(term, "dumb") != 0 &&
               (!no_color || no_color[0] == '\0');
}

size_t terminal_columns(int fd) {
        struct winsize ws;

        if (!isatty(fd))
                return 0;
        return ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 1 ? ws.ws_col : 80;
}

bool terminal_is_ours(int fd) {
        pid_t in_front = tcgetpgrp(fd);

        return in_front < 0 || in_front == getpgrp();
}

bool signal_take(int signo) {
        struct sigaction before;
        sigset_t set;

        if (sigaction(signo, NULL, &before) == 0 && before.sa_handler == SIG_IGN)
                return false;
        sigemptyset(&set);
        sigaddset(&set, signo);
        sigprocmask(SIG_BLOCK, &set, NULL);
        return true;
}

const char *state_color(const char *state) {
        if (strcmp(state, "executing") == 0)
                return "green";
        if (strcmp(state, "errored") == 0)
                return "red";
        if (strcmp(state, "canceled") == 0)
                return "magenta";
        return strcmp(state, "finished") == 0 ? NULL : "yellow"; /* it waits */
}
