/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockctl: finds the verb and hands over. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>

#include "ctl/ctl.h"

static const Verb *const verbs[] = {
        &verb_run,       &verb_submit, &verb_list,  &verb_show,    &verb_wait,     &verb_results,
        &verb_cancel,    &verb_done,   &verb_stats, &verb_profile, &verb_why,      &verb_status,
        &verb_languages, &verb_config, &verb_pause, &verb_resume,  &verb_shutdown, &verb_metrics,
};

static void print_help(void) {
        puts("Usage: penstockctl VERB …\n\n"
             "Run queries under a memory quota that grows, and manage them.\n");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                printf("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
        puts("\n  -h, --help     show this help; behind a verb, that verb's\n"
             "      --version  show the version\n\n"
             "See penstockctl(1) for exit statuses and the JSON output.");
}

/* The bus connection must not become descriptor 0, 1 or 2, where an engine or a table would be sent to it. */
static int open_standard_fds(void) {
        for (int fd = 0; fd <= 2; fd++) {
                if (fcntl(fd, F_GETFD) >= 0)
                        continue;
                if (open("/dev/null", O_RDWR) != fd)
                        return -EBADF;
        }
        return 0;
}

int main(int argc, char *argv[]) {
        const char *name = argc > 1 ? argv[1] : NULL;

        if (open_standard_fds() < 0)
                return EXIT_CODE_REFUSED;
        setlocale(LC_ALL, "");
        if (!name) {
                report("a verb is missing; see: penstockctl --help");
                return EXIT_CODE_USAGE;
        }
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
                print_help();
                return finish_output(EXIT_CODE_FAILURE);
        }
        if (strcmp(name, "--version") == 0) {
                puts("penstockctl " PENSTOCK_VERSION);
                return finish_output(EXIT_CODE_FAILURE);
        }
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (strcmp(name, verbs[i]->name) == 0)
                        return verbs[i]->run(verbs[i], argc - 1, argv + 1);
        report("there is no verb '%s'; see: penstockctl --help", name);
        return EXIT_CODE_USAGE;
}
