/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockctl: finds the verb and hands over. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>

#include "ctl/complete.h"

static const Verb *const verbs[] = {
        &verb_run,     &verb_submit,    &verb_list,   &verb_top,   &verb_show,   &verb_wait,     &verb_results,
        &verb_cancel,  &verb_done,      &verb_stats,  &verb_profile, &verb_why,  &verb_status,   &verb_history,
        &verb_languages, &verb_config,  &verb_pause,  &verb_resume, &verb_shutdown, &verb_metrics, &verb_simulate,
        &verb_help,
};

const Verb *verb_at(size_t i) {
        return i < ELEMENTSOF(verbs) ? verbs[i] : NULL;
}

const Verb *verb_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (strcmp(name, verbs[i]->name) == 0)
                        return verbs[i];
        return NULL;
}

/* The bus connection must not become descriptor 0, 1 or 2, where an engine or a table would be sent to it. What was
 * closed stays of no use: reading and writing is EBADF, as before, so that no ID of a query gets lost in silence. */
static int open_standard_fds(void) {
        for (int fd = 0; fd <= 2; fd++) {
                if (fcntl(fd, F_GETFD) >= 0)
                        continue;
                if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
                        return -EBADF;
        }
        return 0;
}

int main(int argc, char *argv[]) {
        const char *name = argc > 1 ? argv[1] : NULL;
        const Verb *verb;

        if (open_standard_fds() < 0)
                return EXIT_CODE_REFUSED;
        setlocale(LC_ALL, "");
        if (!name) {
                report("a verb is missing; see: penstockctl --help");
                return EXIT_CODE_USAGE;
        }
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
                return verb_help.run(&verb_help, 1, argv);
        if (strcmp(name, "--version") == 0) {
                puts("penstockctl " PENSTOCK_VERSION);
                return finish_output(EXIT_CODE_FAILURE);
        }
        if (strcmp(name, "__complete") == 0)
                return complete_run(argc - 1, argv + 1);
        verb = verb_find(name);
        return verb ? verb->run(verb, argc - 1, argv + 1) : no_such_verb(name);
}
