/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/history_picture.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static const char *const numbers[] = { "ended_usec",        "started_usec",       "queue_usec", "execute_usec",
                                       "memory_peak_bytes", "memory_quota_bytes", "id" };

/* All are short in the service; what is not is cut, so that rows are of a bounded length. */
#define WORD_MAX 64

int history_picture_begin(HistoryPicture *h, const Verb *verb) {
        int fd = memfd_create("history", MFD_CLOEXEC);

        h->rows = fd < 0 ? NULL : fdopen(fd, "w+e");
        if (!h->rows) {
                report("cannot make room for the history: %s", strerror(errno));
                if (fd >= 0)
                        close(fd);
                return verb->failure;
        }
        for (size_t k = 0; k < ELEMENTSOF(numbers); k++)
                fprintf(h->rows, "%s,", numbers[k]);
        fputs("language,state,error\n", h->rows);
        return GO_ON;
}

/* Its reader knows no quotes. */
static void add_word(FILE *f, const char *word, char end) {
        for (size_t i = 0; i < WORD_MAX && word[i]; i++)
                putc(strchr(",\"\r\n", word[i]) ? '?' : word[i], f);
        putc(end, f);
}

void history_picture_add(HistoryPicture *h, const PenstockInfo *i) {
        PenstockError error = {};

        (void) penstock_info_get_error(i, &error); /* which has the short name */
        for (size_t k = 0; k < ELEMENTSOF(numbers); k++)
                fprintf(h->rows, "%llu,", (unsigned long long) info_u64(i, numbers[k]));
        add_word(h->rows, info_string(i, "language"), ',');
        add_word(h->rows, info_string(i, "state"), ',');
        add_word(h->rows, error.name, '\n');
}

int history_picture_draw(HistoryPicture *h, const Verb *verb, const Picture *p, const char *filters, bool is_cut) {
        CLEANUP(strlist_done) StrList facts = {};
        char line[512];
        int r;

        snprintf(line, sizeof(line), "filters=%s", filters);
        r = strlist_add(&facts, line);
        if (r == 0 && is_cut)
                r = strlist_add(&facts, "cut=1");
        if (r == 0 && (fflush(h->rows) != 0 || ferror(h->rows) || lseek(fileno(h->rows), 0, SEEK_SET) < 0))
                r = -EIO;
        if (r < 0) {
                report("cannot keep the history for its picture: %s", strerror(-r));
                return verb->failure;
        }
        return picture_make(verb, p, fileno(h->rows), &facts);
}

void history_picture_done(HistoryPicture *h) {
        if (h->rows)
                fclose(h->rows);
        h->rows = NULL;
}
