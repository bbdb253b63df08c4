/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/config_files: finds and reads penstock.conf and languages.d the systemd way, with inih.
 * For one name, /etc wins over /run over /usr/lib; drop-ins of all three are merged and sorted by file name. */
#pragma once

#include "core/config.h"
#include "core/language.h"

/* Called for what is odd but no error (an unknown key): a whole sentence with file and line. */
typedef void (*ConfigWarn)(const char *message, void *userdata);

/* The host's memory in bytes (MemTotal of /proc/meminfo), or what PENSTOCK_RAM_BYTES says in tests. 0 on failure. */
uint64_t config_files_ram_bytes(void);

/* Load the effective configuration: @only_file alone when it is not NULL, else the search path below @root ("" for
 * /). Returns 0 with a finished @ret (config_done() it), or -errno with @ret_error naming file, line, key, value,
 * rule; then @ret is untouched. */
int config_files_load(const char *root, const char *only_file, ConfigWarn warn, void *userdata, Config *ret,
                      Error *ret_error);

typedef struct LanguageSet {
        Language **v; /* sorted by name */
        size_t n;
} LanguageSet;

/* Load every language. A bad file is skipped with a warning that says why; the others load. So is one that the host
 * cannot read, which says nothing of what is in it, unless @ret_unread is given: that says which then, and nothing is
 * loaded. Returns 0 or -errno. */
int config_files_load_languages(const char *root, ConfigWarn warn, void *userdata, LanguageSet *ret,
                                Error *ret_unread);
const Language *language_set_find(const LanguageSet *s, const char *name); /* NULL: unknown */
void language_set_done(LanguageSet *s);
