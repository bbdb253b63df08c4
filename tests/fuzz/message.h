/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz/message: a message of the worker socket, out of the input. */
#pragma once

#include "fuzz.h"
#include "worker/protocol.h"

/* One of @type, with what @how says is not as it should be (16: another query, 32: the header, 64: the size). Returns the
 * size to send. */
static inline size_t bytes_message(Bytes *b, unsigned how, uint8_t type, WorkerMessage *ret) {
        size_t size = worker_message_size(type);

        memset(ret, 0, sizeof(*ret));
        if (how & 64)
                size = bytes_number(b, 2) % (sizeof(*ret) + 1);
        /* The tails are bytes of which none is looked at: leave them zeros. */
        bytes_copy(b, ret, size < 48 ? size : 48);
        if (!(how & 32))
                ret->header = worker_header((WorkerType) type, how & 16 ? 8 : 7);
        return size;
}
