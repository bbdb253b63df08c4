/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/search_path: where configuration lies: /etc/penstock, /run/penstock, /usr/lib/penstock, the first one wins for
 * a name. */
#pragma once

#include "core/base.h"

typedef struct SearchPathEntry {
        char *name, *path;
        bool is_masked; /* a symlink to /dev/null or an empty file: hides the others of its name */
} SearchPathEntry;

/* Zero-initialise. */
typedef struct SearchPath {
        SearchPathEntry *v; /* sorted by name, bytewise */
        size_t n;
} SearchPath;

/* Find *.conf in the folder @dir of each place below @root; hidden files are left out.
 * Returns 0, -ENAMETOOLONG, -ENOMEM, or what opening a folder failed with (a missing one is empty). */
int search_path_list(const char *root, const char *dir, SearchPath *ret);
void search_path_done(SearchPath *s);

/* Find one file; *@ret_path (to be freed) is NULL when there is none or it is masked. Returns as above. */
int search_path_file(const char *root, const char *name, char **ret_path);

/* Read a regular file of at most @max bytes; *@ret_text (to be freed) has a NUL behind it.
 * Returns 0, -EFBIG, -EBADFD for what is no regular file (/dev/null counts as an empty one), -ENOMEM or -errno. */
int search_path_read(const char *path, uint64_t max, char **ret_text, size_t *ret_len);
