/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/launch_record.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

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
        LaunchCredential *credentials;
        const char *credentials_directory;
} Arrays;

static size_t arrays_size(const RecordHeader *h) {
        return ((size_t) h->n_argv + 2 + h->n_envp + 1) * sizeof(char *) + h->n_checks * sizeof(LaunchCheck) +
               h->n_limits * sizeof(RequestLimit) + h->n_credentials * sizeof(LaunchCredential);
}

static Arrays arrays_at(const RecordHeader *h, void *memory) {
        Arrays a = { .argv = memory };

        a.envp = a.argv + h->n_argv + 2;
        a.checks = (LaunchCheck *) (a.envp + h->n_envp + 1);
        a.limits = (RequestLimit *) (a.checks + h->n_checks);
        a.credentials = (LaunchCredential *) (a.limits + h->n_limits);
        return a;
}

static bool decode_fixed(const RecordHeader *h, const char *data, Arrays *a) {
        const char *p = data + sizeof(*h) + h->n_gids * sizeof(uint32_t);

        for (; p < data + sizeof(*h) + align8((size_t) h->n_gids * sizeof(uint32_t)); p++)
                if (*p != 0)
                        return false;
        for (size_t i = 0; i < h->n_limits; i++, p += sizeof(RecordLimit)) {
                const RecordLimit *x = (const RecordLimit *) p;

                if (x->resource >= (uint32_t) RLIM_NLIMITS || x->reserved != 0)
                        return false;
                a->limits[i] = (RequestLimit) { .resource = (int) x->resource, .soft = x->soft, .hard = x->hard };
        }
        for (size_t i = 0; i < h->n_checks; i++, p += sizeof(RecordCheck)) {
                const RecordCheck *x = (const RecordCheck *) p;

                if (x->kind >= _LAUNCH_CHECK_MAX || x->reserved != 0)
                        return false;
                a->checks[i] = (LaunchCheck) {
                        .kind = (LaunchCheckKind) x->kind, .dev = x->dev, .ino = x->ino, .born_nsec = x->born_nsec
                };
        }
        return launch_gids_are_valid((const uint32_t *) (data + sizeof(*h)), h->n_gids);
}

static bool decode_credentials(const RecordHeader *h, Cursor *c, Arrays *a) {
        if (h->n_credentials == 0)
                return true;
        a->credentials_directory = take_string(c);
        if (!a->credentials_directory || a->credentials_directory[0] != '/')
                return false;
        for (size_t i = 0; i < h->n_credentials; i++) {
                LaunchCredential *x = &a->credentials[i];

                if (!(x->name = take_string(c)) || !launch_name_is_plain(x->name) || !(x->path = take_string(c)) ||
                    x->path[0] != '/')
                        return false;
        }
        return true;
}

static bool decode_strings(const RecordHeader *h, char *data, Arrays *a, const char **ret_cwd) {
        Cursor c = { .p = data + launch_strings_offset(h), .end = data + h->size };

        *ret_cwd = take_string(&c);
        if (!*ret_cwd || (*ret_cwd)[0] != '/')
                return false;
        for (size_t i = 0; i < h->n_argv; i++)
                if (!(a->argv[i + 1] = take_string(&c)))
                        return false;
        if (a->argv[1][0] == '\0')
                return false;
        for (size_t i = 0; i < h->n_envp; i++)
                if (!(a->envp[i] = take_string(&c)) || !launch_environment_entry_is_valid(a->envp[i]))
                        return false;
        for (size_t i = 0; i < h->n_checks; i++)
                if (!(a->checks[i].path = take_string(&c)) || a->checks[i].path[0] != '/')
                        return false;
        return decode_credentials(h, &c, a) && c.p == c.end;
}

/* @m->data is mapped. */
static int decode(LaunchMap *m) {
        const RecordHeader *h = m->data;
        const char *cwd;
        Arrays a;

        if (m->data_size < sizeof(*h) || h->size != m->data_size || !launch_header_is_valid(h) ||
            launch_strings_offset(h) > m->data_size)
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
                .credentials_directory = a.credentials_directory,
                .credentials = a.credentials,
                .n_credentials = h->n_credentials,
        };
        return 0;
}

int launch_map(int fd, LaunchMap *ret) {
        LaunchMap m = {};
        struct stat st;
        int r, seals = fcntl(fd, F_GET_SEALS);

        if (seals < 0 || (seals & LAUNCH_SEALS) != LAUNCH_SEALS)
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
