/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/launch.h"

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

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define MAGIC UINT32_C(0x434e5453) /* "STNC" */
#define VERSION 1u
#define FLAG_QUERY_ON_FD 1u
#define FLAG_THP_DISABLE 2u
#define FLAGS_ALL (FLAG_QUERY_ON_FD | FLAG_THP_DISABLE)

/* The record: this header, gids (padded to 8), limits, checks, then the strings, each with its NUL: the directory,
 * argv, envp, the paths of the checks. Nothing follows, so each count is proved by the total size. */
typedef struct RecordHeader {
        uint32_t magic, version;
        uint64_t size;
        uint32_t uid, gid, umask, stdin_from, flags;
        uint32_t n_gids, n_limits, n_checks, n_argv, n_envp;
} RecordHeader;

typedef struct RecordLimit {
        uint32_t resource, reserved;
        uint64_t soft, hard;
} RecordLimit;

typedef struct RecordCheck {
        uint32_t kind, reserved;
        uint64_t dev, ino;
} RecordCheck;

static size_t align8(size_t n) {
        return (n + 7) & ~(size_t) 7;
}

static size_t strings_offset(const RecordHeader *h) {
        return sizeof(RecordHeader) + align8((size_t) h->n_gids * sizeof(uint32_t)) +
               h->n_limits * sizeof(RecordLimit) + h->n_checks * sizeof(RecordCheck);
}

/* The rules that both ends hold. */
static bool environment_entry_is_valid(const char *s) {
        return s[0] != '\0' && s[0] != '=' && strchr(s, '=');
}

static bool header_is_valid(const RecordHeader *h) {
        return h->magic == MAGIC && h->version == VERSION && h->size <= LAUNCH_BYTES_MAX && h->uid != UINT32_MAX &&
               h->gid != UINT32_MAX && h->umask <= 0777 && h->stdin_from <= STDIN_CALLER &&
               (h->flags & ~FLAGS_ALL) == 0 && h->n_gids <= REQUEST_GROUPS_MAX && h->n_limits <= REQUEST_LIMITS_MAX &&
               h->n_checks <= LAUNCH_CHECKS_MAX && h->n_argv >= 1 && h->n_argv <= LAUNCH_ARGV_MAX &&
               h->n_envp <= LAUNCH_ENV_MAX;
}

static bool gids_are_valid(const uint32_t *gids, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (gids[i] == UINT32_MAX)
                        return false;
        return true;
}

static int memfd_new(const char *name) {
        int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

        if (fd < 0 && errno == EINVAL) /* before 6.3 */
                fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return fd < 0 ? -errno : fd;
}

static int seal_and_return(int fd, mode_t mode) {
        if (fchmod(fd, mode) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
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

/* Fill in the header, which holds all sizes. Returns 0, -EINVAL or -E2BIG. */
static int measure(const Launch *l, RecordHeader *ret) {
        RecordHeader h = { .magic = MAGIC,
                           .version = VERSION,
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
        h.flags = (l->query_on_fd ? FLAG_QUERY_ON_FD : 0) | (l->thp_disable ? FLAG_THP_DISABLE : 0);
        if ((r = measure_string(l->cwd, &bytes)) < 0 ||
            (r = measure_vector(l->argv, LAUNCH_ARGV_MAX, &h.n_argv, &bytes)) < 0 ||
            (r = measure_vector(l->envp, LAUNCH_ENV_MAX, &h.n_envp, &bytes)) < 0 ||
            (r = measure_checks(l, &bytes)) < 0)
                return r;
        for (size_t i = 0; i < h.n_envp; i++)
                if (!environment_entry_is_valid(l->envp[i]))
                        return -EINVAL;
        for (size_t i = 0; i < l->n_limits; i++)
                if (l->limits[i].resource < 0 || l->limits[i].resource >= (int) RLIM_NLIMITS)
                        return -EINVAL;
        h.size = strings_offset(&h) + bytes;
        if (h.size > LAUNCH_BYTES_MAX)
                return -E2BIG;
        if (!header_is_valid(&h) || !gids_are_valid(l->gids, l->n_gids))
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
                memcpy(p, &(RecordCheck) { (uint32_t) l->checks[i].kind, 0, l->checks[i].dev, l->checks[i].ino },
                       sizeof(RecordCheck));
        p = put_string(p, l->cwd);
        for (size_t i = 0; i < h->n_argv; i++)
                p = put_string(p, l->argv[i]);
        for (size_t i = 0; i < h->n_envp; i++)
                p = put_string(p, l->envp[i]);
        for (size_t i = 0; i < l->n_checks; i++)
                p = put_string(p, l->checks[i].path);
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

/* Takes the next string of the record; NULL when none ends within it. */
typedef struct Cursor {
        char *p, *end;
} Cursor;

static char *take_string(Cursor *c) {
        char *s = c->p, *nul = memchr(c->p, '\0', (size_t) (c->end - c->p));

        if (!nul)
                return NULL;
        c->p = nul + 1;
        return s;
}

/* Where the decoded arrays lie within LaunchMap.pointers. */
typedef struct Arrays {
        char **argv, **envp;
        LaunchCheck *checks;
        RequestLimit *limits;
} Arrays;

static size_t arrays_size(const RecordHeader *h) {
        return ((size_t) h->n_argv + 2 + h->n_envp + 1) * sizeof(char *) + h->n_checks * sizeof(LaunchCheck) +
               h->n_limits * sizeof(RequestLimit);
}

static Arrays arrays_at(const RecordHeader *h, void *memory) {
        Arrays a = { .argv = memory };

        a.envp = a.argv + h->n_argv + 2;
        a.checks = (LaunchCheck *) (a.envp + h->n_envp + 1);
        a.limits = (RequestLimit *) (a.checks + h->n_checks);
        return a;
}

static bool decode_fixed(const RecordHeader *h, const char *data, Arrays *a) {
        const char *p = data + sizeof(*h) + align8((size_t) h->n_gids * sizeof(uint32_t));

        for (size_t i = 0; i < h->n_limits; i++, p += sizeof(RecordLimit)) {
                const RecordLimit *x = (const RecordLimit *) p;

                if (x->resource >= (uint32_t) RLIM_NLIMITS)
                        return false;
                a->limits[i] = (RequestLimit) { .resource = (int) x->resource, .soft = x->soft, .hard = x->hard };
        }
        for (size_t i = 0; i < h->n_checks; i++, p += sizeof(RecordCheck)) {
                const RecordCheck *x = (const RecordCheck *) p;

                if (x->kind >= _LAUNCH_CHECK_MAX)
                        return false;
                a->checks[i] = (LaunchCheck) { .kind = (LaunchCheckKind) x->kind, .dev = x->dev, .ino = x->ino };
        }
        return gids_are_valid((const uint32_t *) (data + sizeof(*h)), h->n_gids);
}

static bool decode_strings(const RecordHeader *h, char *data, Arrays *a, const char **ret_cwd) {
        Cursor c = { .p = data + strings_offset(h), .end = data + h->size };

        *ret_cwd = take_string(&c);
        if (!*ret_cwd || (*ret_cwd)[0] != '/')
                return false;
        for (size_t i = 0; i < h->n_argv; i++)
                if (!(a->argv[i + 1] = take_string(&c)))
                        return false;
        if (a->argv[1][0] == '\0')
                return false;
        for (size_t i = 0; i < h->n_envp; i++)
                if (!(a->envp[i] = take_string(&c)) || !environment_entry_is_valid(a->envp[i]))
                        return false;
        for (size_t i = 0; i < h->n_checks; i++)
                if (!(a->checks[i].path = take_string(&c)) || a->checks[i].path[0] != '/')
                        return false;
        return c.p == c.end;
}

/* @m->data is mapped. */
static int decode(LaunchMap *m) {
        const RecordHeader *h = m->data;
        const char *cwd;
        Arrays a;

        if (m->data_size < sizeof(*h) || h->size != m->data_size || !header_is_valid(h) ||
            strings_offset(h) > m->data_size)
                return -EBADMSG;
        m->pointers_size = arrays_size(h);
        m->pointers = mmap(NULL, m->pointers_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (m->pointers == MAP_FAILED) {
                m->pointers = NULL;
                return -errno;
        }
        a = arrays_at(h, m->pointers);
        if (!decode_fixed(h, m->data, &a) || !decode_strings(h, m->data, &a, &cwd))
                return -EBADMSG;
        m->shell_argv = a.argv;
        m->launch = (Launch) {
                .uid = h->uid,
                .gid = h->gid,
                .umask = h->umask,
                .cwd = cwd,
                .gids = (const uint32_t *) ((const char *) m->data + sizeof(*h)),
                .n_gids = h->n_gids,
                .limits = a.limits,
                .n_limits = h->n_limits,
                .argv = a.argv + 1,
                .envp = a.envp,
                .stdin_from = (StdinFrom) h->stdin_from,
                .query_on_fd = h->flags & FLAG_QUERY_ON_FD,
                .thp_disable = h->flags & FLAG_THP_DISABLE,
                .checks = a.checks,
                .n_checks = h->n_checks,
        };
        return 0;
}

int launch_map(int fd, LaunchMap *ret) {
        LaunchMap m = {};
        struct stat st;
        int r, seals = fcntl(fd, F_GET_SEALS);

        if (seals < 0 || (seals & SEALS) != SEALS)
                return -EBADMSG;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size < (off_t) sizeof(RecordHeader) || st.st_size > (off_t) LAUNCH_BYTES_MAX)
                return -EBADMSG;
        m.data_size = (size_t) st.st_size;
        m.data = mmap(NULL, m.data_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (m.data == MAP_FAILED)
                return -errno;
        r = decode(&m);
        if (r < 0) {
                launch_map_done(&m);
                return r;
        }
        *ret = m;
        return 0;
}

void launch_map_done(LaunchMap *m) {
        if (m->data)
                munmap(m->data, m->data_size);
        if (m->pointers)
                munmap(m->pointers, m->pointers_size);
        *m = (LaunchMap) {};
}
