/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of a dependency's EnvironmentFile=: core/envfile. */
#include "fuzz.h"

#include <errno.h>

#include "core/envfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        PairList l = {};
        unsigned line = 0;
        int r = envfile_parse((const char *) data, size, &l, &line);

        PROMISE(r != -EINVAL || line > 0, "refused without a line");
        PROMISE(r != 0 || l.n <= ENVFILE_VARIABLES_MAX, "%zu variables", l.n);
        for (size_t i = 0; i < l.n; i++) {
                PROMISE(identifier_is_valid(l.v[i].key), "a name that is none");
                PROMISE(utf8_is_valid(l.v[i].value, strlen(l.v[i].value)), "a value that is no text");
        }
        pairlist_done(&l);
        return 0;
}
