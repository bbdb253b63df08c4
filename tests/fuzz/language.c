/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of a languages.d/NAME.conf, and the commands that come of it: host/ini_file, core/language. */
#include "fuzz.h"

#include <errno.h>

#include "core/language.h"
#include "host/ini_file.h"

typedef struct Target {
        Language *language;
        Error *error;
} Target;

static int on_assignment(const char *section, const char *key, const char *value, unsigned line, void *userdata) {
        Target *t = userdata;
        int r = language_set(t->language, section, key, value, "fuzz.conf", line, t->error);

        return r == -ENOENT ? 0 : r; /* a warning */
}

/* Two requests that differ in what the caller may choose, and in nothing else. */
static Request request_of(bool hostile) {
        static char *plain_argv[] = { (char *) "one", NULL }, *hostile_argv[] = { (char *) "-x; $(rm) {query}", NULL };
        static StrPair plain_pairs[] = { { (char *) "name", (char *) "value" }, { (char *) "n", (char *) "v" } };
        static StrPair hostile_pairs[] = { { (char *) "name", (char *) "a b\" {tmpdir}' $(id)" },
                                           { (char *) "n", (char *) "\n\t\\ % \xc3\xa9" } };
        Request r = REQUEST_INIT;

        r.language = (char *) "fuzz";
        r.query = hostile ? (char *) "select '\"{database}\n $HOME;" : (char *) "select";
        r.query_len = strlen(r.query);
        r.database = hostile ? (char *) "/tmp/a b/{query}?mode=rwc#%41" : (char *) "/tmp/a";
        r.parameters = (PairList) { .v = hostile ? hostile_pairs : plain_pairs, .n = 2 };
        r.argv = (StrList) { .v = hostile ? hostile_argv : plain_argv, .n = 1 };
        return r;
}

typedef int (*MakeCommand)(const Language *, const Request *, const LanguageContext *, LanguageCommand *, Error *);

static bool make(const Language *l, MakeCommand build, bool hostile, bool with_database, LanguageCommand *ret) {
        const LanguageContext context = { .memory_max_bytes = 64 * MIB, .tmpdir = "/var/tmp" };
        Request r = request_of(hostile);
        Error error = {};
        int k;

        if (!l->arguments)
                r.argv = (StrList) {};
        if (l->query_from == QUERY_FROM_NONE)
                r.query = NULL, r.query_len = 0;
        if (l->database == DATABASE_NONE || !with_database)
                r.database = NULL;
        *ret = (LanguageCommand) {};
        k = build(l, &r, &context, ret, &error);
        if (k < 0) { /* perhaps it has no such parameters */
                PROMISE(error.code == ERROR_INVALID_ARGUMENT && error.message[0], "refused without a reason (%d)", k);
                r.parameters = (PairList) {};
                k = build(l, &r, &context, ret, &error);
        }
        return k == 0;
}

/* A value is always within one element, whatever is in it. */
static void values_make_no_elements(const Language *l, MakeCommand build, bool with_database) {
        LanguageCommand plain, hostile;
        bool both = make(l, build, false, with_database, &plain);

        both = make(l, build, true, with_database, &hostile) && both;
        if (both) {
                PROMISE(plain.argv.n == hostile.argv.n && plain.argv.n > 0, "%zu elements, and %zu", plain.argv.n,
                        hostile.argv.n);
                PROMISE(plain.argv.v[plain.argv.n] == NULL, "no end");
                PROMISE(plain.environment.n == hostile.environment.n, "a value makes a variable");
                PROMISE(l->execute.n == 0 || strcmp(plain.argv.v[0], hostile.argv.v[0]) == 0,
                        "a value chooses the program");
        }
        language_command_done(&plain);
        language_command_done(&hostile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Error error = {};
        Target t = { .error = &error };
        int r;

        if (language_new("fuzz", &t.language) < 0)
                abort();
        r = ini_file_parse("fuzz.conf", (const char *) data, size, on_assignment, &t, &error);
        if (r == 0)
                r = language_finish(t.language, &error);
        if (r < 0) {
                PROMISE(error.code == ERROR_INVALID_ARGUMENT && error.message[0], "refused without a reason (%d)", r);
                PROMISE(utf8_is_valid(error.message, strlen(error.message)), "the reason is no text");
        } else {
                for (size_t i = 0; i < t.language->unit_properties.n; i++) {
                        const UnitProperty *p = unit_property_find(t.language->unit_properties.v[i].key);

                        PROMISE(p && unit_property_check(p, t.language->unit_properties.v[i].value) == 0,
                                "%s passed, and is not allowed", t.language->unit_properties.v[i].key);
                }
                for (int with_database = 0; with_database < 2; with_database++) {
                        values_make_no_elements(t.language, language_execute_command, with_database);
                        if (t.language->compile.n > 0)
                                values_make_no_elements(t.language, language_compile_command, with_database);
                }
        }
        language_free(t.language);
        return 0;
}
