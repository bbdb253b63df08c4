/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/fingerprint: whether two queries are the same, without what they are: a keyed hash (HMAC-SHA-256, of which
 * half is kept) over the user, the language, the text or its file, the arguments and the database. What else a
 * request says, parameters and limits among it, makes no other query of it. Without the key nobody can try texts
 * against it. */
#pragma once

#include "core/request.h"

typedef struct FingerprintKey {
        uint8_t bytes[32];
} FingerprintKey;

/* A new one that nobody knows. Returns 0 or -errno. */
int fingerprint_key_new(FingerprintKey *ret);

/* Of what is longer the first and last so many bytes count, and its length: the loop does not read megabytes for it.
 */
#define FINGERPRINT_END_BYTES (64 * KIB)

/* Never two zeros: they stand for none. */
void fingerprint_make(const FingerprintKey *key, const Request *r, uint64_t ret[static 2]);
