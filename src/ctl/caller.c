/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/caller: what an engine finds of its caller's surroundings. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ctl/request_options.h"

extern char **environ;

/* Of the caller's environment an engine gets these, what begins with LC_, and what --env names. */
static const char *const inherited[] = { "PATH", "LANG", "TZ", "HOME", "USER" };

/* MEMLOCK is bounded by the memory limit instead, and a query dumps no core; all others are copied. */
static const struct {
        int resource;
        const char *name;
} limits[] = {
        { RLIMIT_AS, "AS" },         { RLIMIT_CPU, "CPU" },
        { RLIMIT_DATA, "DATA" },     { RLIMIT_FSIZE, "FSIZE" },
        { RLIMIT_LOCKS, "LOCKS" },   { RLIMIT_MSGQUEUE, "MSGQUEUE" },
        { RLIMIT_NICE, "NICE" },     { RLIMIT_NOFILE, "NOFILE" },
        { RLIMIT_NPROC, "NPROC" },   { RLIMIT_RSS, "RSS" },
        { RLIMIT_RTPRIO, "RTPRIO" }, { RLIMIT_RTTIME, "RTTIME" },
        { RLIMIT_STACK, "STACK" },   { RLIMIT_SIGPENDING, "SIGPENDING" },
};

static int no_memory(const Verb *verb) {
        report("out of memory");
        return verb->failure;
}

static int add_environment(const Verb *verb, PenstockRequest *r, const char *user) {
        for (size_t i = 0; i < ELEMENTSOF(inherited); i++) {
                const char *value = getenv(inherited[i]);

                if (!value || (user && (strcmp(inherited[i], "HOME") == 0 || strcmp(inherited[i], "USER") == 0)))
                        continue;
                if (penstock_request_add_environment(r, inherited[i], value) < 0)
                        return no_memory(verb);
        }
        for (char **e = environ; *e; e++)
                if (strncmp(*e, "LC_", 3) == 0 && strchr(*e, '=')) {
                        int k = caller_add_environment(verb, r, *e);

                        if (k != GO_ON)
                                return k;
                }
        return GO_ON;
}

static int add_limits(const Verb *verb, PenstockRequest *r) {
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                struct rlimit limit;

                if (getrlimit(limits[i].resource, &limit) < 0)
                        continue;
                if (penstock_request_add_limit(r, limits[i].name, limit.rlim_cur, limit.rlim_max) < 0)
                        return no_memory(verb);
        }
        return GO_ON;
}

static int add_directory(const Verb *verb, PenstockRequest *r, const char *working_directory) {
        CLEANUP(freep) char *path = NULL;
        int k;

        k = path_resolve(working_directory ? working_directory : ".", &path);
        if (k == -ENOMEM)
                return no_memory(verb);
        if (k < 0) {
                report("InvalidArgument: working directory %s: %s", working_directory ? working_directory : "",
                       strerror(-k));
                return verb->failure;
        }
        return penstock_request_set_working_directory(r, path) < 0 ? no_memory(verb) : GO_ON;
}

int caller_add_environment(const Verb *verb, PenstockRequest *r, const char *text) {
        const char *equals = strchr(text, '='), *value = equals ? equals + 1 : getenv(text);
        CLEANUP(freep) char *name = strndup(text, equals ? (size_t) (equals - text) : strlen(text));

        if (!name)
                return no_memory(verb);
        if (!value)
                return usage_error(verb, "--env: there is no variable %s here to pass on", name);
        if (name[0] == '\0')
                return usage_error(verb, "--env: '%s' has no name", text);
        return penstock_request_add_environment(r, name, value) < 0 ? no_memory(verb) : GO_ON;
}

int caller_describe(const Verb *verb, PenstockRequest *r, const char *user, const char *working_directory) {
        mode_t mask = umask(0);
        int k;

        umask(mask);
        if (penstock_request_set_umask(r, mask) < 0)
                return no_memory(verb);
        k = add_environment(verb, r, user);
        if (k == GO_ON)
                k = add_limits(verb, r);
        if (k == GO_ON)
                k = add_directory(verb, r, working_directory);
        return k;
}

/* Whether main() has put it in the place of one that was closed, or the caller gave what is open the wrong way. */
static bool has_mode(int fd, int mode) {
        return (fcntl(fd, F_GETFL) & O_ACCMODE) == mode;
}

/* Hand @fd over, or /dev/null: an engine finds the end of its input there, and what it writes is lost. */
static int give(const Verb *verb, PenstockRequest *r, int fd, int mode, bool as_null,
                int (*set)(PenstockRequest *r, int fd)) {
        CLEANUP(closep) int null = -1;
        int k;

        if (as_null) {
                fd = null = open("/dev/null", mode | O_CLOEXEC);
                if (null < 0) {
                        report("/dev/null: %s", strerror(errno));
                        return verb->failure;
                }
        }
        k = set(r, fd);
        if (k < 0)
                report("descriptor %d cannot be handed over: %s", fd, strerror(-k));
        return k < 0 ? (int) verb->failure : GO_ON;
}

/* An engine is in nobody's background, so that the terminal's driver does not stop it there. */
int caller_give_stdin(const Verb *verb, PenstockRequest *r, bool is_asked_for) {
        bool is_others = !is_asked_for && !terminal_is_ours(STDIN_FILENO);

        return give(verb, r, STDIN_FILENO, O_RDONLY, is_others || has_mode(STDIN_FILENO, O_WRONLY),
                    penstock_request_set_stdin);
}

int caller_give_stderr(const Verb *verb, PenstockRequest *r) {
        return give(verb, r, STDERR_FILENO, O_WRONLY, has_mode(STDERR_FILENO, O_RDONLY), penstock_request_set_stderr);
}
