/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/status_line.h"

#include <string.h>

void status_line_init(StatusLine *l, bool wanted, uint64_t now_usec) {
        *l = (StatusLine) {
                .enabled = wanted && terminal_takes_escapes(STDERR_FILENO),
                .start_usec = now_usec,
        };
}

void status_line_format(const PenstockInfo *i, uint64_t elapsed_usec, char *buf, size_t size) {
        unsigned long long id = info_u64(i, "id"), position = info_u64(i, "queue_position");
        const char *state = info_string(i, "state"), *wait = info_string(i, "wait_reason");
        char elapsed[TEXT_MAX], used[TEXT_MAX], quota[TEXT_MAX], max[TEXT_MAX];

        format_duration(elapsed_usec, elapsed);
        if (position > 0)
                snprintf(buf, size, "q%llu %s, position %llu, %s%s%s", id, state, position, elapsed,
                         wait[0] ? ": " : "", wait);
        else if (info_u64(i, "memory_quota_bytes") > 0)
                snprintf(buf, size, "q%llu %s, %s used / %s quota / %s maximum, %s%s%s", id, state,
                         format_size(info_u64(i, "memory_current_bytes"), used),
                         format_size(info_u64(i, "memory_quota_bytes"), quota),
                         format_size(info_u64(i, "memory_max_bytes"), max), elapsed, wait[0] ? ": " : "", wait);
        else
                snprintf(buf, size, "q%llu %s, %s%s%s", id, state, elapsed, wait[0] ? ": " : "", wait);
}

void status_line_draw(StatusLine *l, const PenstockInfo *i, uint64_t now_usec) {
        char text[512];
        size_t columns;

        if (!l->enabled || !terminal_is_ours(STDERR_FILENO))
                return;
        status_line_format(i, now_usec - l->start_usec, text, sizeof(text));
        for (char *p = text; *p; p++)
                if ((unsigned char) *p < ' ' || (unsigned char) *p >= 0x7f)
                        *p = '?';
        columns = terminal_columns(STDERR_FILENO) - 1;
        if (strlen(text) > columns)
                text[columns] = '\0';
        fprintf(stderr, "\r%s\033[K", text);
        l->shown = true;
}

void status_line_clear(StatusLine *l) {
        if (l->shown)
                fputs("\r\033[K", stderr);
        l->shown = false;
}
