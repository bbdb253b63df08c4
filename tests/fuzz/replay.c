/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a target over files, and over those of directories, in the order of their names. Prints each name before it is
 * tried, so that the one that breaks a promise is the last. Its end is 77, which meson takes for skipped, when the target
 * wants root and has it not. */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef FUZZ_NEEDS_ROOT
#define FUZZ_NEEDS_ROOT 0
#endif

static unsigned n_files;

static int replay_file(const char *path) {
        FILE *f = fopen(path, "re");
        uint8_t *data = NULL;
        struct stat st;
        size_t n;

        if (!f || fstat(fileno(f), &st) < 0) {
                fprintf(stderr, "cannot read %s\n", path);
                return 1;
        }
        data = malloc((size_t) st.st_size + 1); /* exactly as large as the input, so that reading past it is seen */
        if (!data)
                return 1;
        n = fread(data, 1, (size_t) st.st_size, f);
        fclose(f);
        printf("%s\n", path);
        fflush(stdout);
        (void) LLVMFuzzerTestOneInput(data, n);
        free(data);
        n_files++;
        return 0;
}

static int replay(const char *path) {
        struct dirent **found;
        struct stat st;
        int n, r = 0;

        if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
                return replay_file(path);
        n = scandir(path, &found, NULL, alphasort);
        for (int i = 0; i < n; i++) {
                char name[4096];

                snprintf(name, sizeof(name), "%s/%s", path, found[i]->d_name);
                if (found[i]->d_name[0] != '.')
                        r |= replay(name);
                free(found[i]);
        }
        if (n >= 0)
                free(found);
        return n < 0 ? 1 : r;
}

int main(int argc, char **argv) {
        int r = 0;

        if (FUZZ_NEEDS_ROOT && geteuid() != 0) {
                fprintf(stderr, "penstockd's end of the worker socket takes root's connections only; this is not root\n");
                return 77;
        }
        for (int i = 1; i < argc; i++)
                r |= replay(argv[i]);
        if (n_files == 0) {
                fprintf(stderr, "there is no input\n");
                return 1;
        }
        return r;
}
