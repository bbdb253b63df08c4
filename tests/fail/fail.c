/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LD_PRELOADed into penstockd, or into a worker that is linked dynamically for it, by a test: counts from where each
 * function of fail-list.h is called, and lets one such call fail once. What to do stands in a file that the test maps too
 * (PENSTOCK_FAIL); without it, and in programs that are not PENSTOCK_FAIL_PROGRAM, all calls pass. x86-64 only, like the
 * test guests. */
#include "fail.h"
#include "trampoline.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define FAIL_ECGOTHER 50016 /* ECGOTHER of libcgroup/error.h */
#define FAIL_SQLITE_NOMEM 7  /* SQLITE_NOMEM of sqlite3.h, */
#define FAIL_SQLITE_IOERR 10 /* and SQLITE_IOERR */
#define DEPTH_MAX 40
#define MODULES_MAX 32u

typedef struct Range {
        uintptr_t begin, end;
} Range;

enum {
#define WRAP(name, how, error) INDEX_##name,
#include "fail-list.h"
#undef WRAP
        N_FUNCTIONS
};

_Static_assert(N_FUNCTIONS <= FAIL_FUNCTIONS_MAX, "a name has no room");

FailFunction fail_functions[] = {
#define WRAP(name, how, error) { NULL, #name, how, error },
#include "fail-list.h"
#undef WRAP
};

static FailShared *shared;
static Range modules[MODULES_MAX]; /* the program is the first */
static unsigned n_modules;
static atomic_flag lock = ATOMIC_FLAG_INIT;
static _Thread_local bool inside;

/* dlsym() may allocate. */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

static void *find_real(FailFunction *f) {
        void *real = f->real;

        if (real)
                return real;
        if (f == &fail_functions[INDEX_malloc])
                real = (void *) __libc_malloc;
        else if (f == &fail_functions[INDEX_calloc])
                real = (void *) __libc_calloc;
        else if (f == &fail_functions[INDEX_realloc])
                real = (void *) __libc_realloc;
        else
                real = dlsym(RTLD_NEXT, f->name); /* NULL: nobody can call it either */
        f->real = real;
        return real;
}

static unsigned module_of(uintptr_t address) {
        unsigned i = 0;

        while (i < n_modules && (address < modules[i].begin || address >= modules[i].end))
                i++;
        return i;
}

static void find_site(uint32_t function, uintptr_t caller, FailSite *ret) {
        void *frames[DEPTH_MAX];
        int n = backtrace(frames, DEPTH_MAX);
        unsigned found = 0;

        *ret = (FailSite) { .function = function, .module = module_of(caller) };
        for (int i = 0; i < n && found < FAIL_FRAMES; i++)
                if (module_of((uintptr_t) frames[i]) == 0)
                        ret->frames[found++] = (uint32_t) ((uintptr_t) frames[i] - modules[0].begin);
}

static bool is_same(const FailSite *a, const FailSite *b) {
        return a->function == b->function && a->module == b->module && memcmp(a->frames, b->frames, sizeof(a->frames)) == 0;
}

static void record(const FailSite *site) {
        uint32_t i = 0;

        while (i < shared->n_sites && !is_same(&shared->sites[i], site))
                i++;
        if (i == FAIL_SITES_MAX)
                return;
        if (i == shared->n_sites) {
                shared->sites[i] = *site;
                shared->n_sites++;
        }
        shared->sites[i].count++;
}

/* True if this call is the one. A child of the program shares the file, and counts as it. */
static bool strikes(const FailSite *site) {
        if (!shared->armed || !is_same(&shared->target, site))
                return false;
        if (shared->skip > 0) {
                shared->skip--;
                return false;
        }
        shared->armed = 0;
        shared->fired++;
        return true;
}

/* The kernel refuses no removal from an epoll set, and sd-event, which closes the door behind itself, relies on it. */
static bool can_fail(uint32_t function, uintptr_t second) {
        return function != INDEX_epoll_ctl || (int) second == EPOLL_CTL_ADD;
}

/* What is cheap to see comes first: a walk up the stack is slow. */
static bool may_matter(uint32_t function, uintptr_t caller) {
        const FailSite *t = &shared->target;

        if (shared->recording)
                return true;
        return shared->armed && t->function == function && t->module == module_of(caller) &&
               (t->module != 0 || t->frames[0] == (uint32_t) (caller - modules[0].begin));
}

static bool look(uint32_t function, uintptr_t caller) {
        FailSite site;
        bool strike;

        find_site(function, caller, &site);
        while (atomic_flag_test_and_set(&lock))
                ;
        if (shared->recording)
                record(&site);
        strike = strikes(&site);
        atomic_flag_clear(&lock);
        return strike;
}

void *fail_enter(FailFunction *f, uintptr_t caller, uintptr_t second) {
        uint32_t function = (uint32_t) (f - fail_functions);
        int saved = errno;
        bool strike;

        if (!shared || inside || !can_fail(function, second) || !may_matter(function, caller))
                return find_real(f);
        inside = true;
        strike = look(function, caller);
        inside = false;
        errno = saved;
        if (!strike)
                return find_real(f);
        return fail_result(f, shared->error ? (int) shared->error : f->error);
}

static int add_module(struct dl_phdr_info *info, size_t size, void *userdata) {
        Range range = { UINTPTR_MAX, 0 };

        (void) size, (void) userdata;
        for (int i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_LOAD) {
                        uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

                        range.begin = begin < range.begin ? begin : range.begin;
                        range.end = begin + info->dlpi_phdr[i].p_memsz > range.end ? begin + info->dlpi_phdr[i].p_memsz
                                                                                   : range.end;
                }
        if (n_modules < MODULES_MAX)
                modules[n_modules++] = range;
        return 0;
}

__attribute__((constructor)) static void begin(int argc, char **argv) {
        const char *path = getenv("PENSTOCK_FAIL"), *program = getenv("PENSTOCK_FAIL_PROGRAM");
        void *frames[2], *p;
        int fd;

        /* The service itself: not busctl of ExecReload=, nor penstockd --thaw. */
        if (!path || !program || strcmp(program_invocation_short_name, program) != 0 || (argc > 1 && argv[1][0] == '-'))
                return;
        inside = true;
        fd = open(path, O_RDWR | O_CLOEXEC);
        p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(FailShared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED || ((FailShared *) p)->magic != FAIL_MAGIC)
                abort();
        close(fd);
        (void) backtrace(frames, 2); /* loads what it needs */
        dl_iterate_phdr(add_module, NULL);
        for (unsigned i = 0; i < N_FUNCTIONS; i++) {
                (void) find_real(&fail_functions[i]);
                strncpy(((FailShared *) p)->names[i], fail_functions[i].name, FAIL_NAME_MAX - 1);
        }
        ((FailShared *) p)->pid = (uint32_t) getpid();
        shared = p;
        inside = false;
}

#define WRAP(name, how, error) FAIL_TRAMPOLINE(name, name, INDEX_##name)
#include "fail-list.h"

