/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of a penstock.conf: host/config_files, ini_file, core/config, dependency. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "core/engine.h"
#include "host/config_files.h"

#define RAM_BYTES (8 * GIB)

static void on_warning(const char *message, void *userdata) {
        (void) userdata;
        PROMISE(utf8_is_valid(message, strlen(message)) && message[0], "a warning is no text");
}

static void keeps_the_rules(const Config *c) {
        PROMISE(c->concurrency_quota > 0 && c->initial_bytes >= MIB, "nothing can run");
        PROMISE(c->initial_bytes <= c->per_query_bytes && c->per_query_bytes <= c->max_memory_bytes,
                "initial, maximum and budget are out of order");
        PROMISE(c->max_memory_bytes == SIZE_INFINITY ||
                        multiply_saturating(c->concurrency_quota, c->initial_bytes) <= c->max_memory_bytes,
                "the slots are more than the budget");
        PROMISE(c->allow_overcommit || c->max_memory_bytes <= RAM_BYTES, "the budget is more than the host has");
}

/* What is printed can stand in a file again, and means the same. */
static void reads_back(const Config *c) {
        Config again;
        Error error = {};
        char text[4096], other[4096];

        config_init(&again, RAM_BYTES);
        for (unsigned k = 0; k < _CONFIG_KEY_MAX; k++) {
                config_value_text(c, (ConfigKey) k, text, sizeof(text));
                if (config_key_info((ConfigKey) k)->kind == CONFIG_KIND_LIST)
                        continue; /* may be longer than the buffer; and dependencies have sections of their own */
                PROMISE(config_set(&again, RAM_BYTES, "Controller", config_key_name((ConfigKey) k), text, "again", k + 1,
                                   &error) == 0,
                        "%s=%s does not read back: %s", config_key_name((ConfigKey) k), text, error.message);
        }
        PROMISE(config_finish(&again, RAM_BYTES, &error) == 0, "what was accepted is refused: %s", error.message);
        for (unsigned k = 0; k < _CONFIG_KEY_MAX; k++) {
                if (config_key_info((ConfigKey) k)->kind == CONFIG_KIND_LIST)
                        continue;
                config_value_text(c, (ConfigKey) k, text, sizeof(text));
                config_value_text(&again, (ConfigKey) k, other, sizeof(other));
                PROMISE(strcmp(text, other) == 0, "%s is %s, and was %s", config_key_name((ConfigKey) k), other, text);
        }
        config_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char path[64];
        static int fd = -1;
        Engine *e = NULL;
        Error error = {};
        Config c;
        int r;

        if (fd < 0) {
                fd = memfd_create("penstock.conf", MFD_CLOEXEC);
                snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                setenv("PENSTOCK_RAM_BYTES", "8589934592", 1);
        }
        if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t) size)
                abort();
        r = config_files_load("", path, on_warning, NULL, &c, &error);
        if (r < 0) {
                PROMISE(error.code == ERROR_INVALID_ARGUMENT && error.message[0], "refused without a reason (%d)", r);
                PROMISE(utf8_is_valid(error.message, strlen(error.message)), "the reason is no text");
                return 0;
        }
        keeps_the_rules(&c);
        reads_back(&c);
        PROMISE(engine_new(&c, 1, &e) == 0, "no engine takes it");
        engine_free(e);
        config_done(&c);
        return 0;
}
