/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of host/config_files: a root tree of their own. */
#pragma once

#include "host/config_files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

typedef struct Tree {
        char root[64];
        char warnings[4096];
} Tree;

static inline int tree_set_up(void **state) {
        Tree *t = calloc(1, sizeof(*t));

        strcpy(t->root, "/tmp/penstock-test-XXXXXX");
        if (!mkdtemp(t->root))
                return -1;
        setenv("PENSTOCK_RAM_BYTES", "17179869184", 1); /* 16 GiB */
        *state = t;
        return 0;
}

static inline int entry_remove(const char *path, const struct stat *st, int flag, struct FTW *f) {
        (void) st, (void) flag, (void) f;
        return remove(path);
}

static inline int tree_tear_down(void **state) {
        Tree *t = *state;

        nftw(t->root, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
        free(t);
        return 0;
}

static inline void path_make(const Tree *t, const char *path, char full[static 512]) {
        snprintf(full, 512, "%s%s", t->root, path);
        for (char *p = full + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                (void) mkdir(full, 0755);
                *p = '/';
        }
}

static inline void put_bytes(const Tree *t, const char *path, const char *text, size_t len) {
        char full[512];
        FILE *f;

        path_make(t, path, full);
        f = fopen(full, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, len, f), len);
        assert_int_equal(fclose(f), 0);
}

static inline void put(const Tree *t, const char *path, const char *text) {
        put_bytes(t, path, text, strlen(text));
}

static inline void mask(const Tree *t, const char *path) {
        char full[512];

        path_make(t, path, full);
        (void) unlink(full);
        assert_int_equal(symlink("/dev/null", full), 0);
}

static inline void on_warning(const char *message, void *userdata) {
        Tree *t = userdata;

        strncat(t->warnings, message, sizeof(t->warnings) - strlen(t->warnings) - 2);
        strcat(t->warnings, "\n");
}

static inline Config load(Tree *t) {
        Error e = {};
        Config c;
        int r = config_files_load(t->root, NULL, on_warning, t, &c, &e);

        if (r < 0)
                print_message("%s\n", e.message);
        assert_int_equal(r, 0);
        return c;
}

static inline void refused(Tree *t, const char *text) {
        Config c, before;
        Error e = {};

        memset(&c, 0x5a, sizeof(c));
        memcpy(&before, &c, sizeof(c));
        assert_true(config_files_load(t->root, NULL, on_warning, t, &c, &e) < 0);
        print_message("%s\n", e.message);
        assert_non_null(strstr(e.message, text));
        assert_memory_equal(&c, &before, sizeof(c));
}

#define WITH_TREE(f) cmocka_unit_test_setup_teardown(f, tree_set_up, tree_tear_down)
