/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/fingerprint.h"

#include <errno.h>
#include <nettle/hmac.h>
#include <string.h>
#include <sys/random.h>

/* What is hashed, as one row of bytes, of which the middle may be left out. */
typedef struct Row {
        struct hmac_sha256_ctx *hash; /* NULL: it is only measured */
        uint64_t at, len;
} Row;

int fingerprint_key_new(FingerprintKey *ret) {
        FingerprintKey key;
        ssize_t n = getrandom(key.bytes, sizeof(key.bytes), 0); /* so few bytes come whole */

        if (n != (ssize_t) sizeof(key.bytes))
                return n < 0 ? -errno : -EIO;
        *ret = key;
        return 0;
}

/* The part of @data, which stands at @r->at, that lies in [@begin, @end). */
static void hash_part(const Row *r, const uint8_t *data, size_t len, uint64_t begin, uint64_t end) {
        uint64_t from = MAX(begin, r->at), to = MIN(end, r->at + len);

        if (from < to)
                hmac_sha256_update(r->hash, to - from, data + (from - r->at));
}

static void add(Row *r, const void *data, size_t len) {
        uint64_t tail = MAX(subtract_saturating(r->len, FINGERPRINT_END_BYTES), FINGERPRINT_END_BYTES);

        if (r->hash) {
                hash_part(r, data, len, 0, FINGERPRINT_END_BYTES);
                hash_part(r, data, len, tail, r->len);
        }
        r->at += len;
}

/* Each with its length before it, so that no two rows are one. NULL is no text, and not an empty one. */
static void add_text(Row *r, const char *text, size_t len) {
        uint64_t n = text ? len : UINT64_MAX;

        add(r, &n, sizeof(n));
        if (text)
                add(r, text, len);
}

static void add_string(Row *r, const char *s) {
        add_text(r, s, s ? strlen(s) : 0);
}

static void add_request(Row *row, const Request *r) {
        uint64_t n_arguments = r->argv.n;

        add(row, &r->uid, sizeof(r->uid));
        add_string(row, r->language);
        add_text(row, r->query, r->query_len);
        add_string(row, r->file);
        add_string(row, r->database);
        add(row, &n_arguments, sizeof(n_arguments));
        for (size_t i = 0; i < r->argv.n; i++)
                add_string(row, r->argv.v[i]);
}

void fingerprint_make(const FingerprintKey *key, const Request *r, uint64_t ret[static 2]) {
        struct hmac_sha256_ctx hash;
        Row measured = {}, row = { .hash = &hash };

        add_request(&measured, r);
        row.len = measured.at;
        hmac_sha256_set_key(&hash, sizeof(key->bytes), key->bytes);
        hmac_sha256_update(&hash, sizeof(row.len), (const uint8_t *) &row.len);
        add_request(&row, r);
        hmac_sha256_digest(&hash, 2 * sizeof(uint64_t), (uint8_t *) ret);
        ret[0] += ret[0] == 0 && ret[1] == 0;
}
