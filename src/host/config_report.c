/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/config_report.h"
#include "host/config_files.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

static void warning_print(const char *message, void *userdata) {
        fprintf(userdata, "warning: %s\n", message);
}

typedef struct LanguageReport {
        FILE *out;
        bool refused;
} LanguageReport;

/* At start a bad language is skipped with a warning; whoever asks for a check wants to know. */
static void language_warning_print(const char *message, void *userdata) {
        LanguageReport *r = userdata;
        const char suffix[] = "the language is skipped";
        size_t n = strlen(message);

        if (n >= strlen(suffix) && strcmp(message + n - strlen(suffix), suffix) == 0)
                r->refused = true;
        warning_print(message, r->out);
}

static bool dependencies_exist(const Config *c, const Language *l, FILE *out) {
        bool ok = true;

        for (size_t i = 0; i < l->dependencies.n; i++)
                if (!dependency_find(&c->dependencies, l->dependencies.v[i])) {
                        fprintf(out, "%s: Dependencies=%s names no section: there is no [Dependency %s]\n",
                                l->origin_file, l->dependencies.v[i], l->dependencies.v[i]);
                        ok = false;
                }
        return ok;
}

static int languages_check(const Config *c, FILE *out) {
        CLEANUP(language_set_done) LanguageSet languages = {};
        LanguageReport report = { .out = out };
        int r = config_files_load_languages("", language_warning_print, &report, &languages);

        if (r < 0) {
                fprintf(out, "languages.d cannot be read: %s\n", strerror(-r));
                return 1;
        }
        for (size_t i = 0; i < languages.n; i++)
                if (!dependencies_exist(c, languages.v[i], out))
                        report.refused = true;
        return report.refused;
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

int config_report_check(const char *file, FILE *out) {
        CLEANUP(config_done) Config c = {};
        Error e = {};
        int r = config_files_load("", file, warning_print, out, &c, &e);

        if (!file)
                closed_places_tell();
        if (r < 0) {
                fprintf(out, "%s\n", error_text(&e, r));
                return 1;
        }
        if (!file && languages_check(&c, out) != 0)
                return 1;
        fprintf(out, "ok\n");
        return 0;
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
}

int config_report_show(FILE *out, bool json) {
        CLEANUP(config_done) Config c = {};
        Error e = {};
        int r = config_files_load("", NULL, NULL, NULL, &c, &e);

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
