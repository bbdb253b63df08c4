/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/decode.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define AT(field) offsetof(Request, field)
/* How much of an unknown key an error shows. */
#define KEY_SHOWN_MAX 64u

static const RequestKey keys[] = {
        { "language", "s", decode_string, AT(language), REQUEST_NAME_BYTES_MAX },
        { "query", "s", decode_query, 0, REQUEST_QUERY_BYTES_MAX },
        { "argv", "as", decode_argv, AT(argv), REQUEST_ARG_BYTES_MAX - 1 },
        { "database", "s", decode_string, AT(database), REQUEST_PATH_BYTES_MAX },
        { "file", "s", decode_string, AT(file), REQUEST_PATH_BYTES_MAX },
        { "parameters", "a{ss}", decode_pairs, AT(parameters), REQUEST_VALUE_BYTES_MAX },
        { "memory_initial_bytes", "t", decode_bytes, AT(memory_initial_bytes), 0 },
        { "memory_max_bytes", "t", decode_bytes, AT(memory_max_bytes), 0 },
        { "priority", "i", decode_i32, AT(priority), 0 },
        { "timeout_usec", "t", decode_timeout, AT(timeout_usec), 0 },
        { "queue_timeout_usec", "t", decode_timeout, AT(queue_timeout_usec), 0 },
        { "labels", "a{ss}", decode_labels, AT(labels), REQUEST_LABEL_BYTES_MAX },
        { "environment", "a{ss}", decode_pairs, AT(environment), REQUEST_VALUE_BYTES_MAX },
        { "working_directory", "s", decode_string, AT(working_directory), REQUEST_PATH_BYTES_MAX },
        { "umask", "u", decode_u32, AT(umask), 0 },
        { "limits", "a{s(tt)}", decode_limits, AT(limits), 0 },
        { "dependencies", "as", decode_names, AT(dependencies), REQUEST_NAME_BYTES_MAX },
        { "user", "s", decode_string, AT(user), REQUEST_NAME_BYTES_MAX },
        { "stdin", "h", decode_stdin, 0, 0 },
        { "stderr", "h", decode_stderr, 0, 0 },
        { "detach", "b", decode_bool, AT(detach), 0 },
        { "once", "b", decode_bool, AT(once), 0 },
};

_Static_assert(ELEMENTSOF(keys) <= 32, "the set of keys that came is a 32-bit mask");

void submit_fds_done(SubmitFds *fds) {
        if (fds->stdin_fd >= 0)
                close(fds->stdin_fd);
        if (fds->stderr_fd >= 0)
                close(fds->stderr_fd);
        *fds = (SubmitFds) { -1, -1 };
}

static const RequestKey *key_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (strcmp(keys[i].name, name) == 0)
                        return &keys[i];
        return NULL;
}

/* An unknown key is text from outside: what is shown of it is short, whole characters, and no control character. */
int decode_unknown_key(Error *e, const char *name, const char *of) {
        char shown[KEY_SHOWN_MAX + 1];
        size_t n = strnlen(name, KEY_SHOWN_MAX + 1);
        bool is_cut = n > KEY_SHOWN_MAX;

        if (is_cut)
                for (n = KEY_SHOWN_MAX; n > 0 && ((unsigned char) name[n] & 0xc0) == 0x80;)
                        n--;
        for (size_t i = 0; i < n; i++)
                shown[i] = (char) ((unsigned char) name[i] < ' ' || name[i] == 0x7f ? '?' : name[i]);
        shown[n] = '\0';
        return error_set(e, ERROR_INVALID_ARGUMENT, "\"%s%s\" is no key of %s", shown, is_cut ? "…" : "", of);
}

/* Read the variant's inside. */
static int decode_value(Decoder *d, const RequestKey *k) {
        const char *contents;
        char type;
        int r = sd_bus_message_peek_type(d->message, &type, &contents);

        if (r < 0)
                return r;
        if (strcmp(contents, k->signature) != 0)
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s must be of D-Bus type '%s', and is '%.64s'",
                                 k->name, k->signature, contents);
        r = sd_bus_message_enter_container(d->message, 'v', contents);
        if (r >= 0)
                r = k->read(d, k);
        if (r >= 0)
                r = sd_bus_message_exit_container(d->message);
        return r < 0 ? r : 0;
}

static int decode_entry(Decoder *d, uint32_t *seen) {
        const RequestKey *k;
        const char *name;
        uint32_t bit;
        int r = sd_bus_message_read_basic(d->message, 's', &name);

        if (r < 0)
                return r;
        k = key_find(name);
        if (!k)
                return decode_unknown_key(d->error, name, "a request");
        bit = UINT32_C(1) << (k - keys);
        if (*seen & bit)
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s is given twice", k->name);
        *seen |= bit;
        return decode_value(d, k);
}

static int decode_all(Decoder *d) {
        uint32_t seen = 0;
        int r = sd_bus_message_enter_container(d->message, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(d->message, 'e', "sv")) > 0) {
                r = decode_entry(d, &seen);
                if (r >= 0)
                        r = sd_bus_message_exit_container(d->message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(d->message);
}

int request_decode(sd_bus_message *m, Request *ret, SubmitFds *ret_fds, Error *ret_error) {
        Decoder d = { .message = m, .request = REQUEST_INIT, .fds = { -1, -1 }, .error = ret_error };
        int r = decode_all(&d);

        if (r < 0) {
                request_done(&d.request);
                submit_fds_done(&d.fds);
                return r;
        }
        *ret = d.request;
        *ret_fds = d.fds;
        return 0;
}
