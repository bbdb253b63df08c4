/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/config_report.h"
#include "host/config_files.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

/* What a check finds: as lines at once, or as JSON at the end. */
typedef struct Findings {
        FILE *out;
        json_t *warnings, *errors; /* NULL: as lines */
        bool refused;
} Findings;

static void note(Findings *f, const char *message) {
        if (f->warnings)
                (void) json_array_append_new(f->warnings, json_string(message));
        else
                fprintf(f->out, "warning: %s\n", message);
}

static void refuse(Findings *f, const char *message) {
        f->refused = true;
        if (f->errors)
                (void) json_array_append_new(f->errors, json_string(message));
        else
                fprintf(f->out, "%s\n", message);
}

static void on_warning(const char *message, void *userdata) {
        note(userdata, message);
}

/* At start a bad language is skipped with a warning; whoever asks for a check wants to know. */
static void on_language_warning(const char *message, void *userdata) {
        const char suffix[] = "the language is skipped";
        size_t n = strlen(message);
        Findings *f = userdata;

        if (n < strlen(suffix) || strcmp(message + n - strlen(suffix), suffix) != 0) {
                note(f, message);
                return;
        }
        f->refused = true;
        if (f->errors)
                refuse(f, message);
        else
                note(f, message);
}

static void check_dependencies(const Config *c, const Language *l, Findings *f) {
        char text[512];

        for (size_t i = 0; i < l->dependencies.n; i++)
                if (!dependency_find(&c->dependencies, l->dependencies.v[i])) {
                        snprintf(text, sizeof(text),
                                 "%.300s: Dependencies=%s names no section: there is no [Dependency %s]",
                                 l->origin_file, l->dependencies.v[i], l->dependencies.v[i]);
                        refuse(f, text);
                }
}

static void check_languages(const Config *c, Findings *f) {
        CLEANUP(language_set_done) LanguageSet languages = {};
        int r = config_files_load_languages("", on_language_warning, f, &languages, NULL);
        char text[128];

        if (r < 0) {
                snprintf(text, sizeof(text), "languages.d cannot be read: %s", strerror(-r));
                refuse(f, text);
                return;
        }
        for (size_t i = 0; i < languages.n; i++)
                check_dependencies(c, languages.v[i], f);
}

static const char *error_text(const Error *e, int r) {
        return e->code == ERROR_NONE ? strerror(-r) : e->message;
}

/* What only root may read is left out for others, who should know. */
static void closed_places_tell(void) {
        static const char closed[] = "/run/penstock";

        if (geteuid() != 0 && access(closed, R_OK | X_OK) < 0 && errno == EACCES)
                fprintf(stderr, "warning: %s is closed to all but root: files there are not counted here\n", closed);
}

static int findings_print(Findings *f) {
        json_t *all;
        int r;

        if (!f->errors) {
                if (!f->refused)
                        fprintf(f->out, "ok\n");
                return f->refused;
        }
        all = json_pack("{s:b, s:o, s:o}", "valid", !f->refused, "errors", f->errors, "warnings", f->warnings);
        r = all ? json_dumpf(all, f->out, JSON_INDENT(2)) : -1;
        json_decref(all);
        fprintf(f->out, r == 0 ? "\n" : "what was found cannot be written as JSON\n");
        return r == 0 ? f->refused : 1;
}

int config_report_check(const char *file, FILE *out, bool json) {
        CLEANUP(config_done) Config c = {};
        Findings f = { .out = out };
        Error e = {};
        int r;

        if (json) {
                f.warnings = json_array();
                f.errors = json_array();
        }
        r = config_files_load("", file, on_warning, &f, &c, &e);
        if (!file)
                closed_places_tell();
        if (r < 0)
                refuse(&f, error_text(&e, r));
        else if (!file)
                check_languages(&c, &f);
        return findings_print(&f);
}

static json_t *key_to_json(const Config *c, ConfigKey key, const char *value, const char *origin) {
        const ConfigKeyInfo *k = config_key_info(key);
        json_t *o = json_pack("{s:s, s:s}", "value", value, "origin", origin);
        uint64_t number;

        if (!o || (k->kind != CONFIG_KIND_COUNT && k->kind != CONFIG_KIND_BYTES && k->kind != CONFIG_KIND_USEC))
                return o;
        number = *(const uint64_t *) ((const char *) c + k->offset);
        if (json_object_set_new(o, "number", number <= INT64_MAX ? json_integer((json_int_t) number) : json_null()) < 0) {
                json_decref(o);
                return NULL;
        }
        return o;
}

static json_t *dependencies_to_json(const Config *c) {
        json_t *all = json_object();

        for (size_t i = 0; i < c->dependencies.n; i++)
                (void) json_object_set_new(all, c->dependencies.v[i].name,
                                           json_pack("{s:b}", "requestable", c->dependencies.v[i].requestable));
        return all;
}

/* Room for the longest list: 32 names of 255 bytes. */
#define VALUE_TEXT_MAX 8448

static int show_json(const Config *c, FILE *out) {
        char value[VALUE_TEXT_MAX], origin[4200];
        json_t *all = json_object();
        int r = all ? 0 : -1;

        for (unsigned i = 0; r == 0 && i < _CONFIG_KEY_MAX; i++) {
                ConfigKey key = (ConfigKey) i;

                config_value_text(c, key, value, sizeof(value));
                config_origin_text(c, key, origin, sizeof(origin));
                r = json_object_set_new(all, config_key_name(key), key_to_json(c, key, value, origin));
        }
        if (r == 0)
                r = json_object_set_new(all, "dependencies", dependencies_to_json(c));
        if (r == 0)
                r = json_dumpf(all, out, JSON_INDENT(2));
        json_decref(all);
        fprintf(out, r == 0 ? "\n" : "the values cannot be written as JSON\n");
        return r == 0 ? 0 : 1;
}

/* "; 67108864 bytes" behind the origin of a size. */
static const char *bytes_text(const Config *c, ConfigKey key, char *buf, size_t len) {
        const ConfigKeyInfo *k = config_key_info(key);
        uint64_t bytes;

        buf[0] = '\0';
        if (k->kind != CONFIG_KIND_BYTES)
                return buf;
        bytes = *(const uint64_t *) ((const char *) c + k->offset);
        if (bytes != SIZE_INFINITY)
                snprintf(buf, len, "; %llu bytes", (unsigned long long) bytes);
        return buf;
}

static void show_text(const Config *c, FILE *out) {
        char value[VALUE_TEXT_MAX], origin[4200], bytes[40];

        fprintf(out, "[Controller]\n");
        for (unsigned i = 0; i < _CONFIG_KEY_MAX; i++) {
                ConfigKey key = (ConfigKey) i;

                fprintf(out, "# %s%s\n%s=%s\n", config_origin_text(c, key, origin, sizeof(origin)),
                        bytes_text(c, key, bytes, sizeof(bytes)), config_key_name(key), config_value_text(c, key, value, sizeof(value)));
        }
        for (size_t i = 0; i < c->dependencies.n; i++)
                fprintf(out, "\n[Dependency %s]\nRequestable=%s\n", c->dependencies.v[i].name,
                        c->dependencies.v[i].requestable ? "yes" : "no");
}

int config_report_show(const char *file, FILE *out, bool json) {
        CLEANUP(config_done) Config c = {};
        Error e = {};
        int r = config_files_load("", file, NULL, NULL, &c, &e);

        if (!file)
                closed_places_tell();
        if (r < 0) {
                fprintf(out, "%s\n", error_text(&e, r));
                return 1;
        }
        if (json)
                return show_json(&c, out);
        show_text(&c, out);
        return 0;
}
