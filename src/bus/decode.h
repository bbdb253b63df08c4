/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/decode: the a{sv} of Query as a Request. Everything is bounded before it is copied, and every refusal is
 * InvalidArgument and names the key. Messages never quote a value: a value may be a secret. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/request.h"
#include "daemon/manager.h"

/* All that a request can hold by core/request.h's bounds, and room for the lengths between. */
#define REQUEST_MESSAGE_BYTES_MAX (8 * MIB)

/* Read the request that @m is about to be read at. @ret and @ret_fds (duplicates, the receiver's to close) are filled
 * on success only; who runs it is left out. request_validate() is for the caller: it knows the rules between keys.
 * Returns 0, or -errno; -EINVAL with @ret_error (InvalidArgument). */
int request_decode(sd_bus_message *m, Request *ret, SubmitFds *ret_fds, Error *ret_error);

void submit_fds_done(SubmitFds *fds);

/* InvalidArgument: @name is no key @of ("a request"). Returns the matching -errno. */
int decode_unknown_key(Error *e, const char *name, const char *of);

/* One key while it is read. */
typedef struct Decoder {
        sd_bus_message *message;
        Request request;
        SubmitFds fds;
        Error *error;
} Decoder;

typedef struct RequestKey RequestKey;

struct RequestKey {
        const char *name, *signature;
        int (*read)(Decoder *d, const RequestKey *k);
        size_t offset; /* of the field in Request */
        size_t max;    /* bytes of a string or of each value */
};

/* bus/decode_values.c: one for each type. They return 0 or -errno, with the error set where the caller is to blame.
 */
int decode_string(Decoder *d, const RequestKey *k);
int decode_query(Decoder *d, const RequestKey *k);
int decode_argv(Decoder *d, const RequestKey *k);
int decode_names(Decoder *d, const RequestKey *k);
int decode_pairs(Decoder *d, const RequestKey *k);
int decode_labels(Decoder *d, const RequestKey *k);
int decode_bytes(Decoder *d, const RequestKey *k);
int decode_timeout(Decoder *d, const RequestKey *k);
int decode_i32(Decoder *d, const RequestKey *k);
int decode_u32(Decoder *d, const RequestKey *k);
int decode_bool(Decoder *d, const RequestKey *k);
int decode_limits(Decoder *d, const RequestKey *k);
int decode_stdin(Decoder *d, const RequestKey *k);
int decode_stderr(Decoder *d, const RequestKey *k);
