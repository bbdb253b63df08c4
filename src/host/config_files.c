/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/config_files.h"
#include "host/ini_file.h"
#include "host/search_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

uint64_t config_files_ram_bytes(void) {
        const char *fake = secure_getenv("PENSTOCK_RAM_BYTES");
        unsigned long long kib = 0;
        uint64_t bytes = 0;
        FILE *f;

        if (fake)
                return u64_parse(fake, &bytes) < 0 ? 0 : bytes;
        f = fopen("/proc/meminfo", "re");
        if (!f)
                return 0;
        if (fscanf(f, "MemTotal: %llu kB", &kib) != 1)
                kib = 0;
        fclose(f);
        return (uint64_t) kib * KIB;
}

/* One file on its way into a Config or a Language. */
typedef struct Target {
        Config *config;
        uint64_t ram_bytes;
        Language *language;
        const char *file;
        ConfigWarn warn;
        void *userdata;
        Error *error;
} Target;

static int on_assignment(const char *section, const char *key, const char *value, unsigned line, void *userdata) {
        Target *t = userdata;
        char message[ERROR_MESSAGE_MAX];
        int r = t->config ? config_set(t->config, t->ram_bytes, section, key, value, t->file, line, t->error)
                          : language_set(t->language, section, key, value, t->file, line, t->error);

        if (r != -ENOENT)
                return r;
        if (section[0] == '\0')
                snprintf(message, sizeof(message), "%s:%u: %.64s= stands before any [Section]; it is ignored",
                         t->file, line, key);
        else
                snprintf(message, sizeof(message), "%s:%u: there is no key %.64s in [%.64s]; it is ignored", t->file,
                         line, key, section);
        if (t->warn)
                t->warn(message, t->userdata);
        return 0;
}

static int file_load(Target *t, const char *path) {
        CLEANUP(freep) char *text = NULL;
        size_t len;
        int r = search_path_read(path, INI_FILE_BYTES_MAX, &text, &len);

        if (r < 0) {
                bool is_its_own = r == -EFBIG || r == -EBADFD || r == -ENOENT;

                (void) error_set(t->error, is_its_own ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL, "%s: cannot be read: %s", path,
                                 r == -EFBIG    ? "larger than 1 MiB"
                                 : r == -EBADFD ? "not a regular file"
                                                : strerror(-r));
                return r;
        }
        t->file = path;
        return ini_file_parse(path, text, len, on_assignment, t, t->error);
}

/* The file @name of the search path, then what is in @name.d. A missing file is as good as an empty one. */
static int file_and_dropins_load(Target *t, const char *root, const char *name) {
        CLEANUP(search_path_done) SearchPath found = {};
        CLEANUP(freep) char *main_file = NULL;
        char dir[256];
        int r = search_path_file(root, name, &main_file);

        if (r < 0)
                (void) error_set(t->error, ERROR_INTERNAL, "%s: cannot be looked for: %s", name, strerror(-r));
        if (r == 0 && main_file)
                r = file_load(t, main_file);
        snprintf(dir, sizeof(dir), "%s.d", name);
        if (r == 0) {
                r = search_path_list(root, dir, &found);
                if (r < 0)
                        (void) error_set(t->error, ERROR_INTERNAL, "%s: cannot be listed: %s", dir, strerror(-r));
        }
        for (size_t i = 0; r == 0 && i < found.n; i++)
                if (!found.v[i].is_masked)
                        r = file_load(t, found.v[i].path);
        return r;
}

int config_files_load(const char *root, const char *only_file, ConfigWarn warn, void *userdata, Config *ret,
                      Error *ret_error) {
        CLEANUP(config_done) Config c;
        Target t = { .config = &c,
                     .ram_bytes = config_files_ram_bytes(),
                     .warn = warn,
                     .userdata = userdata,
                     .error = ret_error };
        int r;

        config_init(&c, t.ram_bytes);
        r = only_file ? file_load(&t, only_file) : file_and_dropins_load(&t, root, "penstock.conf");
        if (r == 0)
                r = config_finish(&c, t.ram_bytes, ret_error);
        if (r < 0)
                return r;
        config_move(ret, &c);
        return 0;
}

/* Make @l of the file at @path and its drop-ins; on failure @error says why. */
static int language_load(const char *root, const SearchPathEntry *entry, ConfigWarn warn, void *userdata,
                         Error *error, Language **ret) {
        Language *l = NULL;
        char name[128], file[256];
        Target t = { .warn = warn, .userdata = userdata, .error = error };
        int r;

        snprintf(name, sizeof(name), "%.*s", (int) (strlen(entry->name) - strlen(".conf")), entry->name);
        if (!language_name_is_valid(name))
                return error_set(error, ERROR_INVALID_ARGUMENT,
                                 "%s: a language's name has small letters, digits, - and _, at most 63 of them",
                                 entry->path);
        r = language_new(name, &l);
        if (r < 0)
                return r;
        t.language = l;
        l->origin_file = strdup(entry->path);
        snprintf(file, sizeof(file), "languages.d/%s", entry->name);
        r = l->origin_file ? file_and_dropins_load(&t, root, file) : -ENOMEM;
        if (r == 0)
                r = language_finish(l, error);
        if (r < 0) {
                language_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

static int language_set_add(LanguageSet *s, Language *l) {
        Language **v = realloc(s->v, (s->n + 1) * sizeof(*v));

        if (!v)
                return -ENOMEM;
        v[s->n++] = l;
        s->v = v;
        return 0;
}

static void skip_warn(const Error *e, ConfigWarn warn, void *userdata) {
        char message[ERROR_MESSAGE_MAX + 64];

        snprintf(message, sizeof(message), "%s; the language is skipped", e->message);
        if (warn)
                warn(message, userdata);
}

int config_files_load_languages(const char *root, ConfigWarn warn, void *userdata, LanguageSet *ret,
                                Error *ret_unread) {
        CLEANUP(search_path_done) SearchPath found = {};
        CLEANUP(language_set_done) LanguageSet set = {};
        int r = search_path_list(root, "languages.d", &found);

        for (size_t i = 0; r == 0 && i < found.n; i++) {
                Language *l = NULL;
                Error e = {};

                if (found.v[i].is_masked)
                        continue;
                r = language_load(root, &found.v[i], warn, userdata, &e, &l);
                if (e.code == ERROR_INTERNAL && ret_unread) {
                        *ret_unread = e;
                        return r;
                }
                if (r < 0 && r != -ENOMEM) {
                        skip_warn(&e, warn, userdata);
                        r = 0;
                        continue;
                }
                if (r == 0)
                        r = language_set_add(&set, l);
                if (r < 0)
                        language_free(l);
        }
        if (r < 0)
                return r;
        *ret = set;
        set = (LanguageSet) {};
        return 0;
}

const Language *language_set_find(const LanguageSet *s, const char *name) {
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->v[i]->name, name) == 0)
                        return s->v[i];
        return NULL;
}

void language_set_done(LanguageSet *s) {
        for (size_t i = 0; i < s->n; i++)
                language_free(s->v[i]);
        free(s->v);
        *s = (LanguageSet) {};
}
