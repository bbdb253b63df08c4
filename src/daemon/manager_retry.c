/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of queries that may be run once more: what is kept of them for that, and what goes with their first run. */
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/entry.h"

bool manager_may_retry(const Manager *m, const Entry *e) {
        const Query *q = engine_find(m->engine, e->record.id);

        return q && !query_state_is_end(q->state) && query_may_retry(q);
}

/* Nobody but its worker writes there, and it has written all when it says that the query has ended. */
bool entry_results_are_empty(const Entry *e) {
        struct stat st;

        return e->record.request.detach && e->record.results_file_fd >= 0 && fstat(e->record.results_file_fd, &st) == 0 &&
               st.st_size == 0;
}

void entry_forget_run(Entry *e) {
        e->handed = e->ended_told = e->leaving = false;
        e->again &= AGAIN_RECORD;
        e->numbers_usec = e->usage_usec = 0;
        free(e->record.stderr_tail);
        e->record.stderr_tail = NULL;
}
