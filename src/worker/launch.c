/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/launch_record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static int memfd_new(const char *name) {
        int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

        if (fd < 0 && errno == EINVAL) /* before 6.3 */
                fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return fd < 0 ? -errno : fd;
}

static int seal_and_return(int fd, mode_t mode) {
        if (fchmod(fd, mode) < 0 || fcntl(fd, F_ADD_SEALS, LAUNCH_SEALS) < 0) {
                int r = -errno;

                close(fd);
                return r;
        }
        return fd;
}

int launch_query_memfd(const char *text, size_t len) {
        int fd = memfd_new("penstock-query");

        if (fd < 0)
                return fd;
        for (size_t done = 0; done < len;) {
                ssize_t n = pwrite(fd, text + done, len - done, (off_t) done); /* leaves the offset at 0 */

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        int r = n < 0 ? -errno : -EIO;

                        close(fd);
                        return r;
                }
                done += (size_t) n;
        }
        /* Of another user's process /proc/self/fd/N can be opened when the mode says so. */
        return seal_and_return(fd, 0444);
}

/* Count a NULL-terminated vector and the bytes of its strings. Returns 0 or -E2BIG. */
static int measure_vector(char *const *v, size_t max, uint32_t *ret_n, size_t *bytes) {
        size_t n = 0;

        for (; v && v[n]; n++) {
                size_t len = strlen(v[n]) + 1;

                if (n >= max || len > LAUNCH_BYTES_MAX - *bytes)
                        return -E2BIG;
                *bytes += len;
        }
        *ret_n = (uint32_t) n;
        return 0;
}

static int measure_string(const char *s, size_t *bytes) {
        size_t len = strlen(s) + 1;

        if (len > LAUNCH_BYTES_MAX - *bytes)
                return -E2BIG;
        *bytes += len;
        return 0;
}

static int measure_checks(const Launch *l, size_t *bytes) {
        for (size_t i = 0; i < l->n_checks; i++) {
                const LaunchCheck *c = &l->checks[i];
                int r;

                if (!c->path || c->path[0] != '/' || c->kind < 0 || c->kind >= _LAUNCH_CHECK_MAX)
                        return -EINVAL;
                r = measure_string(c->path, bytes);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int measure_credentials(const Launch *l, size_t *bytes) {
        int r;

        if (l->n_credentials > LAUNCH_CREDENTIALS_MAX)
                return -E2BIG;
        if (l->n_credentials == 0)
                return 0;
        if (!l->credentials_directory || l->credentials_directory[0] != '/')
                return -EINVAL;
        r = measure_string(l->credentials_directory, bytes);
        for (size_t i = 0; r == 0 && i < l->n_credentials; i++) {
                if (!launch_name_is_plain(l->credentials[i].name) || l->credentials[i].path[0] != '/')
                        return -EINVAL;
                r = measure_string(l->credentials[i].name, bytes);
                if (r == 0)
                        r = measure_string(l->credentials[i].path, bytes);
        }
        return r;
}

/* Fill in the header, which holds all sizes. Returns 0, -EINVAL or -E2BIG. */
static int measure(const Launch *l, RecordHeader *ret) {
        RecordHeader h = { .magic = LAUNCH_MAGIC,
                           .version = LAUNCH_VERSION,
                           .uid = l->uid,
                           .gid = l->gid,
                           .umask = l->umask,
                           .stdin_from = (uint32_t) l->stdin_from };
        size_t bytes = 0;
        int r;

        if (!l->cwd || l->cwd[0] != '/' || !l->argv || !l->argv[0] || l->argv[0][0] == '\0')
                return -EINVAL;
        if (l->n_gids > REQUEST_GROUPS_MAX || l->n_limits > REQUEST_LIMITS_MAX || l->n_checks > LAUNCH_CHECKS_MAX)
                return -E2BIG;
        h.n_gids = (uint32_t) l->n_gids;
        h.n_limits = (uint32_t) l->n_limits;
        h.n_checks = (uint32_t) l->n_checks;
        h.n_credentials = (uint32_t) l->n_credentials;
        h.flags = (l->query_on_fd ? FLAG_QUERY_ON_FD : 0) | (l->thp_disable ? FLAG_THP_DISABLE : 0);
        if ((r = measure_string(l->cwd, &bytes)) < 0 ||
            (r = measure_vector(l->argv, LAUNCH_ARGV_MAX, &h.n_argv, &bytes)) < 0 ||
            (r = measure_vector(l->envp, LAUNCH_ENV_MAX, &h.n_envp, &bytes)) < 0 ||
            (r = measure_checks(l, &bytes)) < 0 || (r = measure_credentials(l, &bytes)) < 0)
                return r;
        for (size_t i = 0; i < h.n_envp; i++)
                if (!launch_environment_entry_is_valid(l->envp[i]))
                        return -EINVAL;
        for (size_t i = 0; i < l->n_limits; i++)
                if (l->limits[i].resource < 0 || l->limits[i].resource >= (int) RLIM_NLIMITS)
                        return -EINVAL;
        h.size = launch_strings_offset(&h) + bytes;
        if (h.size > LAUNCH_BYTES_MAX)
                return -E2BIG;
        if (!launch_header_is_valid(&h) || !launch_gids_are_valid(l->gids, l->n_gids))
                return -EINVAL;
        *ret = h;
        return 0;
}

static char *put_string(char *p, const char *s) {
        size_t len = strlen(s) + 1;

        memcpy(p, s, len);
        return p + len;
}

static void put(char *data, const RecordHeader *h, const Launch *l) {
        char *p = data;

        memcpy(p, h, sizeof(*h));
        p += sizeof(*h);
        if (l->n_gids > 0)
                memcpy(p, l->gids, l->n_gids * sizeof(uint32_t));
        p += align8(l->n_gids * sizeof(uint32_t));
        for (size_t i = 0; i < l->n_limits; i++, p += sizeof(RecordLimit))
                memcpy(p,
                       &(RecordLimit) { (uint32_t) l->limits[i].resource, 0, l->limits[i].soft, l->limits[i].hard },
                       sizeof(RecordLimit));
        for (size_t i = 0; i < l->n_checks; i++, p += sizeof(RecordCheck))
                memcpy(p,
                       &(RecordCheck) { (uint32_t) l->checks[i].kind, 0, l->checks[i].dev, l->checks[i].ino, l->checks[i].born_nsec },
                       sizeof(RecordCheck));
        p = put_string(p, l->cwd);
        for (size_t i = 0; i < h->n_argv; i++)
                p = put_string(p, l->argv[i]);
        for (size_t i = 0; i < h->n_envp; i++)
                p = put_string(p, l->envp[i]);
        for (size_t i = 0; i < l->n_checks; i++)
                p = put_string(p, l->checks[i].path);
        if (l->n_credentials > 0)
                p = put_string(p, l->credentials_directory);
        for (size_t i = 0; i < l->n_credentials; i++) {
                p = put_string(p, l->credentials[i].name);
                p = put_string(p, l->credentials[i].path);
        }
}

int launch_memfd(const Launch *l) {
        RecordHeader h;
        void *data;
        int fd, r = measure(l, &h);

        if (r < 0)
                return r;
        fd = memfd_new("penstock-launch");
        if (fd < 0)
                return fd;
        if (ftruncate(fd, (off_t) h.size) < 0)
                goto fail;
        data = mmap(NULL, h.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
                goto fail;
        put(data, &h, l);
        munmap(data, h.size); /* F_SEAL_WRITE is refused while a writable mapping exists */
        return seal_and_return(fd, 0400);
fail:
        r = -errno;
        close(fd);
        return r;
}
