/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/records_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/profile.h"
#include "host/state_files.h"

#ifndef RECORDS_DIRECTORY
#define RECORDS_DIRECTORY "/run/penstock/queries"
#endif
#define STATE_SUFFIX ".state"
#define PROFILE_SUFFIX ".profile"
#define PATH_LEN 96

static const char *record_path(uint64_t id, const char *suffix, char buf[static PATH_LEN]) {
        snprintf(buf, PATH_LEN, RECORDS_DIRECTORY "/%llu%s", (unsigned long long) id, suffix);
        return buf;
}

int record_write_file(uint64_t id, const char *suffix, const char *text, size_t len) {
        static const char fresh[] = RECORDS_DIRECTORY "/.new";
        char path[PATH_LEN];
        int r;

        record_path(id, suffix, path);
        r = state_replace_file(path, fresh, text, len);
        if (r == -ENOENT && mkdir(RECORDS_DIRECTORY, 0700) == 0)
                r = state_replace_file(path, fresh, text, len);
        return r;
}

int record_read_file(uint64_t id, const char *suffix, size_t max, char **ret, size_t *ret_len) {
        char path[PATH_LEN], *text;
        struct stat st;
        ssize_t n;
        int fd = open(record_path(id, suffix, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r = 0;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                r = -errno;
        else if (!S_ISREG(st.st_mode) || (uint64_t) st.st_size > max)
                r = -EBADMSG;
        text = r == 0 ? malloc((size_t) st.st_size + 1) : NULL;
        if (r == 0 && !text)
                r = -ENOMEM;
        n = r == 0 ? read(fd, text, (size_t) st.st_size) : 0;
        if (r == 0 && n != st.st_size)
                r = n < 0 ? -errno : -EBADMSG;
        close(fd);
        if (r < 0) {
                free(text);
                return r;
        }
        text[n] = 0;
        *ret = text;
        *ret_len = (size_t) n;
        return 0;
}

int record_write_state(uint64_t id, const char *line) {
        return record_write_file(id, STATE_SUFFIX, line, strlen(line));
}

int record_read_state(uint64_t id, char *buf, size_t len) {
        char *text = NULL;
        size_t n = 0;
        int r = record_read_file(id, STATE_SUFFIX, len - 1, &text, &n);

        if (r < 0)
                return r;
        if (memchr(text, 0, n))
                r = -EBADMSG;
        else
                memcpy(buf, text, n + 1);
        free(text);
        return r;
}

int record_write_profile(uint64_t id, const uint8_t *profile, size_t len) {
        return record_write_file(id, PROFILE_SUFFIX, (const char *) profile, len);
}

int record_read_profile(uint64_t id, uint8_t **ret, size_t *ret_len) {
        char *bytes = NULL;
        int r = record_read_file(id, PROFILE_SUFFIX, PROFILE_SAVED_MAX, &bytes, ret_len);

        if (r == 0)
                *ret = (uint8_t *) bytes;
        return r;
}

void record_remove(uint64_t id) {
        char path[PATH_LEN];

        (void) unlink(record_path(id, STATE_SUFFIX, path));
        (void) unlink(record_path(id, PROFILE_SUFFIX, path));
        (void) unlink(record_path(id, REQUEST_SUFFIX, path)); /* last: whatever is left goes with it, see record_list() */
}

static int compare_ids(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

/* "7.state" → 7 */
static bool id_of(const char *name, const char *suffix, uint64_t *ret) {
        size_t digits = strspn(name, "0123456789");
        char number[24];

        if (digits == 0 || digits >= sizeof(number) || strcmp(name + digits, suffix) != 0)
                return false;
        memcpy(number, name, digits);
        number[digits] = 0;
        return u64_parse(number, ret) == 0;
}

int record_list(uint64_t **ret_ids, size_t *ret_n) {
        uint64_t *ids = NULL, id;
        size_t n = 0, allocated = 0;
        char path[PATH_LEN];
        struct dirent *e;
        DIR *d = opendir(RECORDS_DIRECTORY);

        *ret_ids = NULL;
        *ret_n = 0;
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while ((e = readdir(d))) {
                if (id_of(e->d_name, REQUEST_SUFFIX, &id) && access(record_path(id, STATE_SUFFIX, path), F_OK) < 0 && errno == ENOENT)
                        record_remove(id); /* its writer was killed before it was admitted, or after it was forgotten */
                if (!id_of(e->d_name, STATE_SUFFIX, &id))
                        continue;
                if (n == allocated) {
                        uint64_t *v = realloc(ids, (allocated = MAX(2 * allocated, 64u)) * sizeof(*v));

                        if (!v) {
                                free(ids);
                                closedir(d);
                                return -ENOMEM;
                        }
                        ids = v;
                }
                ids[n++] = id;
        }
        closedir(d);
        if (n > 0)
                qsort(ids, n, sizeof(*ids), compare_ids);
        *ret_ids = ids;
        *ret_n = n;
        return 0;
}
