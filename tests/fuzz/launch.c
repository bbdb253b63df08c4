/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The launch record, as the process that becomes the engine reads it from a memfd: worker/launch_map. The first byte
 * says what is put right before it is read, so that the rest is reached: bit 0 leaves the size, bit 1 the seals, bit 2
 * magic and version as they are. */
#include "fuzz.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/launch_record.h"

static int memfd_of(uint8_t *record, size_t size, unsigned flags) {
        int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        RecordHeader h;

        if (fd < 0)
                abort();
        if (size >= sizeof(h)) {
                memcpy(&h, record, sizeof(h));
                if (!(flags & 1))
                        h.size = size;
                if (!(flags & 4))
                        h.magic = LAUNCH_MAGIC, h.version = LAUNCH_VERSION;
                memcpy(record, &h, sizeof(h));
        }
        if (write(fd, record, size) != (ssize_t) size || fcntl(fd, F_ADD_SEALS, flags & 2 ? F_SEAL_SHRINK : LAUNCH_SEALS) < 0)
                abort();
        return fd;
}

static size_t length_of(const Launch *l) {
        size_t n = strlen(l->cwd);

        for (char *const *s = l->argv; *s; s++)
                n += strlen(*s);
        for (char *const *s = l->envp; s && *s; s++)
                n += strlen(*s);
        for (size_t i = 0; i < l->n_checks; i++)
                n += strlen(l->checks[i].path);
        for (size_t i = 0; i < l->n_credentials; i++)
                n += strlen(l->credentials[i].name) + strlen(l->credentials[i].path);
        return n;
}

/* What is accepted is exactly what launch_memfd() writes. */
static void is_what_would_be_written(const Launch *l, const uint8_t *record, size_t size) {
        int fd = launch_memfd(l);
        struct stat st;
        void *written;

        PROMISE(fd >= 0, "it would not be written (%d)", fd);
        if (fstat(fd, &st) < 0)
                abort();
        PROMISE((size_t) st.st_size == size, "%zu bytes were read, %zu would be written", size, (size_t) st.st_size);
        written = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (written == MAP_FAILED)
                abort();
        PROMISE(memcmp(written, record, size) == 0, "other bytes would be written");
        munmap(written, size);
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t *record;
        LaunchMap map = {};
        int fd, r;

        if (size < 2)
                return 0;
        record = malloc(size - 1);
        if (!record)
                abort();
        memcpy(record, data + 1, size - 1);
        fd = memfd_of(record, size - 1, data[0]);
        r = launch_map(fd, &map);
        PROMISE(r != 0 || !(data[0] & 2), "what is not sealed was read");
        PROMISE(r == 0 || r == -EBADMSG, "refused as %d", r);
        if (r == 0) {
                PROMISE(length_of(&map.launch) < size, "strings reach out of the record");
                is_what_would_be_written(&map.launch, record, size - 1);
                launch_map_done(&map);
        }
        close(fd);
        free(record);
        return 0;
}
