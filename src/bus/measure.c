/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a message holds, before anything is copied or kept of it. */
#include <errno.h>
#include <string.h>

#include "bus/calls.h"

/* Beside its text each value costs the time to walk over it, and a container more: so a message of a million empty
 * ones is too large long before it has kept the loop busy. A request at all its bounds holds 7,000 values and 700
 * containers. */
#define VALUE_BYTES 64u
#define CONTAINER_BYTES 1024u

static int measure_basic(sd_bus_message *m, char type, size_t *sum) {
        union {
                const char *s;
                uint64_t number;
        } value = {};
        int r = sd_bus_message_read_basic(m, type, &value);

        if (r < 0)
                return r;
        *sum += VALUE_BYTES;
        if (strchr("sog", type))
                *sum += strlen(value.s);
        return 0;
}

/* An array of numbers is one block: not walked over. */
static int measure_block(sd_bus_message *m, char type, size_t *sum) {
        const void *data;
        size_t n;
        int r = sd_bus_message_read_array(m, type, &data, &n);

        if (r >= 0)
                *sum += VALUE_BYTES + n;
        return r < 0 ? r : 0;
}

/* The depth is that of the message, which D-Bus limits to 64. */
static int measure_rest(sd_bus_message *m, size_t limit, size_t *sum) {
        const char *contents;
        char type;
        int r;

        while (*sum <= limit && (r = sd_bus_message_peek_type(m, &type, &contents)) != 0) {
                if (r < 0)
                        return r;
                if (!contents)
                        r = measure_basic(m, type, sum);
                else if (type == SD_BUS_TYPE_ARRAY && strlen(contents) == 1 && strchr("ynqiuxtd", contents[0]))
                        r = measure_block(m, contents[0], sum);
                else {
                        *sum += CONTAINER_BYTES;
                        r = sd_bus_message_enter_container(m, type, contents);
                        if (r >= 0)
                                r = measure_rest(m, limit, sum);
                        if (r >= 0 && *sum <= limit)
                                r = sd_bus_message_exit_container(m);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int message_measure(sd_bus_message *m, size_t limit, size_t *ret_bytes, Error *ret_error) {
        size_t sum = 0;
        int r = measure_rest(m, limit, &sum);

        if (r == -EBADMSG) /* sd-bus has checked all else by now */
                return error_set(ret_error, ERROR_INVALID_ARGUMENT, "the message is malformed: a descriptor is missing");
        if (r < 0)
                return r;
        r = sd_bus_message_rewind(m, true);
        if (r < 0)
                return r;
        *ret_bytes = sum;
        return 0;
}
