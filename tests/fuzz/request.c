/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The message of Query: bus/decode on an a{sv} of which the input says each key, type and value; then what is made of
 * an accepted one: core/request, language, worker/launch. The marshalled bytes themselves are libsystemd's to check. */
#include "bus_message.h"

#include <errno.h>
#include <fcntl.h>

#include "bus/decode.h"
#include "core/language.h"
#include "worker/launch.h"

#define KEYS_MAX 40u

static const DictKey keys[] = {
        { "language", "s" }, { "query", "s" }, { "argv", "as" }, { "database", "s" }, { "file", "s" },
        { "parameters", "a{ss}" }, { "memory_initial_bytes", "t" }, { "memory_max_bytes", "t" }, { "priority", "i" },
        { "timeout_usec", "t" }, { "queue_timeout_usec", "t" }, { "labels", "a{ss}" }, { "environment", "a{ss}" },
        { "working_directory", "s" }, { "umask", "u" }, { "limits", "a{s(tt)}" }, { "dependencies", "as" }, { "user", "s" },
        { "stdin", "h" }, { "stderr", "h" }, { "detach", "b" }, { "once", "b" },
};

static int append_strings(sd_bus_message *m, Bytes *b, unsigned flags) {
        size_t n = bytes_u8(b) % 5, repeat = (flags & 10) == 8 ? 1 + (size_t) bytes_u8(b) * 17 : 1;
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (size_t i = 0; r >= 0 && i < n; i++) {
                char *s = value_of(b, flags);

                for (size_t k = 0; r >= 0 && k < repeat; k++)
                        r = sd_bus_message_append_basic(m, 's', s);
                free(s);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_limits(sd_bus_message *m, Bytes *b) {
        static const char *const names[] = { "nofile", "as", "core", "cpu", "data", "fsize", "memlock", "stack", "nproc" };
        size_t n = bytes_u8(b) % 24;
        int r = sd_bus_message_open_container(m, 'a', "{s(tt)}");

        for (size_t i = 0; r >= 0 && i < n; i++) {
                unsigned which = bytes_u8(b);
                char *name = which < ELEMENTSOF(names) ? strdup(names[which]) : bytes_string(b, 16);
                uint64_t soft = bytes_number(b, 8), hard = bytes_number(b, 8);

                r = name ? sd_bus_message_append(m, "{s(tt)}", name, soft, hard) : -ENOMEM;
                free(name);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, const char *signature, Bytes *b, unsigned flags) {
        uint64_t number;
        char *s;
        int r = sd_bus_message_open_container(m, 'v', signature);

        if (r < 0)
                return r;
        if (strcmp(signature, "as") == 0)
                r = append_strings(m, b, flags);
        else if (strcmp(signature, "a{ss}") == 0)
                r = append_pairs(m, b, flags);
        else if (strcmp(signature, "a{s(tt)}") == 0)
                r = append_limits(m, b);
        else if (strcmp(signature, "s") == 0) {
                s = value_of(b, flags);
                r = sd_bus_message_append_basic(m, 's', s);
                free(s);
        } else if (strcmp(signature, "h") == 0)
                r = sd_bus_message_append(m, "h", flags & 8 ? STDERR_FILENO : STDIN_FILENO);
        else if (strcmp(signature, "t") == 0) {
                number = bytes_number(b, 8);
                r = sd_bus_message_append_basic(m, 't', &number);
        } else
                r = sd_bus_message_append(m, signature, (int) bytes_number(b, 4));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static const DictKind query_dict = { "Query", keys, ELEMENTSOF(keys), KEYS_MAX, append_value };

static Language *language_of(const char *query_from, const char *execute, const char *database) {
        Language *l = NULL;
        Error error = {};

        if (language_new("fuzz", &l) < 0 || language_set(l, "Language", "QueryFrom", query_from, "f", 1, &error) < 0 ||
            language_set(l, "Language", "Execute", execute, "f", 2, &error) < 0 ||
            language_set(l, "Language", "Arguments", "yes", "f", 3, &error) < 0 ||
            language_set(l, "Language", "Database", database, "f", 4, &error) < 0 ||
            (strcmp(database, "optional-file") == 0 && language_set(l, "Language", "DatabaseDefault", ":memory:", "f", 5, &error) < 0) ||
            language_finish(l, &error) < 0) {
                fprintf(stderr, "%s\n", error.message);
                abort();
        }
        return l;
}

static void launch(const Request *r, const LanguageCommand *c) {
        Launch l = { .uid = 1, .gid = 1, .umask = r->umask & 0777, .cwd = r->working_directory ? r->working_directory : "/",
                     .argv = c->argv.v, .limits = r->limits, .n_limits = r->n_limits };
        LaunchMap map;
        int fd = launch_memfd(&l);

        PROMISE(fd >= 0 || fd == -EINVAL || fd == -E2BIG, "the launch record is refused as %d", fd);
        if (fd < 0)
                return;
        PROMISE(launch_map(fd, &map) == 0, "the launch record does not read back");
        PROMISE(strcmp(map.launch.cwd, l.cwd) == 0 && map.launch.n_limits == l.n_limits, "another launch came out");
        for (size_t i = 0; i < c->argv.n; i++)
                PROMISE(strcmp(map.launch.argv[i], c->argv.v[i]) == 0, "another argv came out");
        launch_map_done(&map);
        close(fd);
}

/* It was accepted: each language takes it, or says why not. */
static void use(const Request *r) {
        static Language *languages[4];
        const LanguageContext context = { .memory_max_bytes = r->memory_max_bytes, .tmpdir = "/var/tmp" };

        if (!languages[0]) {
                languages[0] = language_of("stdin", "sqlite3 -batch {database_uri}", "optional-file");
                languages[1] = language_of("file", "sh {query_file} -m{memory_max_mib}", "none");
                languages[2] = language_of("argument", "psql -d {database} -c {query}", "name");
                languages[3] = language_of("argument", "x --a={param:a} -- {query}", "none");
        }
        for (size_t i = 0; i < ELEMENTSOF(languages); i++) {
                LanguageCommand c = {};
                Error error = {};
                int k = language_execute_command(languages[i], r, &context, &c, &error);

                PROMISE(k == 0 || (error.code == ERROR_INVALID_ARGUMENT && error.message[0]), "refused without a reason (%d)", k);
                PROMISE(k == 0 || !strstr(error.message, SECRET), "it shows a value: %s", error.message);
                if (k == 0)
                        launch(r, &c);
                language_command_done(&c);
        }
}

static void decode(sd_bus_message *m) {
        Request request = REQUEST_INIT;
        SubmitFds fds = { -1, -1 };
        Error error = {};
        int r = request_decode(m, &request, &fds, &error);

        if (r < 0) {
                PROMISE(r != -EINVAL || (error.code == ERROR_INVALID_ARGUMENT && error.message[0]), "refused without a reason");
                PROMISE(fds.stdin_fd < 0 && fds.stderr_fd < 0 && !request.language, "it fails and gives something");
        } else
                r = request_validate(&request, &error);
        PROMISE(utf8_is_valid(error.message, strlen(error.message)), "the reason is no text");
        PROMISE(!strstr(error.message, SECRET) || strstr(error.message, "is no key"), "it shows a value: %s", error.message);
        if (r == 0) {
                PROMISE(request.query || request.file || request.argv.n > 0, "a request for nothing");
                use(&request);
        }
        request_done(&request);
        submit_fds_done(&fds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static sd_bus *bus;
        Bytes b = { data, size };
        sd_bus_message *m;
        int before, after;

        if (!bus)
                bus = bus_make();
        m = message_of(bus, &query_dict, &b);
        if (!m)
                return 0;
        before = dup(STDIN_FILENO); /* the lowest number that is free */
        close(before);
        decode(m);
        after = dup(STDIN_FILENO);
        close(after);
        PROMISE(before == after, "a descriptor stays open");
        sd_bus_message_unref(m);
        return 0;
}
