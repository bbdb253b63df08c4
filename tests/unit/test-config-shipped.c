/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree-kit.h"

#include <inttypes.h>

static LanguageSet languages_load(Tree *t) {
        LanguageSet s = {};
        Error e = {};

        assert_int_equal(config_files_load_languages(t->root, on_warning, t, &s, &e), 0);
        assert_int_equal(e.code, ERROR_NONE);
        return s;
}

static char *source_read(const char *path) {
        char full[512];
        char *text = calloc(1, 1 << 18);
        FILE *f;

        snprintf(full, sizeof(full), "%s/%s", PENSTOCK_SOURCE_DIR, path);
        f = fopen(full, "re");
        assert_non_null(f);
        assert_non_null(text);
        (void) !fread(text, 1, (1 << 18) - 1, f);
        fclose(f);
        return text;
}

static void languages_are_overridden_masked_and_skipped(void **state) {
        static const char good[] = "[Language]\nArguments=yes\n";
        Tree *t = *state;
        LanguageSet s;

        put(t, "/usr/lib/penstock/languages.d/b.conf", good);
        put(t, "/usr/lib/penstock/languages.d/a.conf", good);
        put(t, "/usr/lib/penstock/languages.d/broken.conf", good);
        put(t, "/usr/lib/penstock/languages.d/gone.conf", good);
        put(t, "/usr/lib/penstock/languages.d/Bad Name.conf", good);
        put(t, "/etc/penstock/languages.d/b.conf",
            "[Language]\nArguments=yes\nDescription=mine\n[Sandbox]\nNice=5\nMemoryMax=1G\n");
        put(t, "/etc/penstock/languages.d/a.conf.d/more.conf", "[Language]\nDescription=dropped in\n");
        put(t, "/etc/penstock/languages.d/broken.conf", "[Language]\nExecute=x {nope}\n");
        mask(t, "/etc/penstock/languages.d/gone.conf");
        s = languages_load(t);
        print_message("%s", t->warnings);
        assert_int_equal(s.n, 2);
        assert_string_equal(s.v[0]->name, "a");
        assert_string_equal(s.v[0]->description, "dropped in");
        assert_string_equal(language_set_find(&s, "b")->description, "mine");
        assert_non_null(strstr(s.v[1]->origin_file, "/etc/penstock/languages.d/b.conf"));
        assert_null(language_set_find(&s, "broken")); /* never the looser one below it */
        assert_null(language_set_find(&s, "gone"));
        assert_non_null(strstr(t->warnings, "broken.conf:2: Execute=x {nope} is refused"));
        assert_non_null(strstr(t->warnings, "Bad Name.conf: a language's name"));
        assert_non_null(strstr(t->warnings, "b.conf:6: there is no key MemoryMax in [Sandbox]"));
        language_set_done(&s);
}

/* A loop of links, in place of all that a host fails at: no memory, no descriptors, a bad disk. */
static void a_language_that_cannot_be_read_is_no_bad_language(void **state) {
        static const char good[] = "[Language]\nArguments=yes\n";
        static const char *const loops[] = { "/etc/penstock/languages.d/b.conf", "/etc/penstock/languages.d/b.conf.d" };
        Tree *t = *state;
        char full[512];
        LanguageSet s;

        put(t, "/usr/lib/penstock/languages.d/a.conf", good);
        put(t, "/usr/lib/penstock/languages.d/b.conf", good);
        for (size_t i = 0; i < ELEMENTSOF(loops); i++) {
                Error e = {};

                path_make(t, loops[i], full);
                assert_int_equal(symlink(full, full), 0);
                assert_int_equal(config_files_load_languages(t->root, on_warning, t, &s, &e), -ELOOP);
                assert_int_equal(e.code, ERROR_INTERNAL);
                assert_non_null(strstr(e.message, "languages.d/b.conf"));
                assert_string_equal(t->warnings, "");

                assert_int_equal(config_files_load_languages(t->root, on_warning, t, &s, NULL), 0);
                assert_int_equal(s.n, 1);
                assert_non_null(strstr(t->warnings, "; the language is skipped"));
                language_set_done(&s);
                t->warnings[0] = '\0';
                assert_int_equal(unlink(full), 0);
        }
        s = languages_load(t);
        assert_int_equal(s.n, 2);
        language_set_done(&s);
}

/* What docs/configuration.md says in the column of values. */
static void values_text(const ConfigKeyInfo *k, char *buf, size_t len) {
        const char *c = k->choices;
        char lo[DURATION_TEXT_MAX], hi[DURATION_TEXT_MAX];
        size_t n = 0;

        switch (k->kind) {
        case CONFIG_KIND_BOOL: snprintf(buf, len, "`yes`, `no`"); break;
        case CONFIG_KIND_LIST: snprintf(buf, len, "names"); break;
        case CONFIG_KIND_COUNT:
                snprintf(hi, sizeof(hi), k->max == UINT64_MAX ? "`infinity`" : "%" PRIu64, k->max);
                snprintf(buf, len, "number, %" PRIu64 " to %s", k->min, hi);
                break;
        case CONFIG_KIND_BYTES:
                snprintf(buf, len, "size, from %s%s", size_format_exact(k->min, lo),
                         k->max == UINT64_MAX ? ", or `infinity`" : "");
                break;
        case CONFIG_KIND_USEC:
                duration_format(k->max, hi);
                snprintf(buf, len, k->max == UINT64_MAX ? "time, from %s to `%s`" : "time, from %s to %s",
                         duration_format(k->min, lo), hi);
                break;
        case CONFIG_KIND_CHOICE:
                while (*c) {
                        size_t word = strcspn(c, " ");

                        n += (size_t) snprintf(buf + n, len - n, "%s`%.*s`", n > 0 ? ", " : "", (int) word, c);
                        c += word + (c[word] == ' ');
                }
        }
}

static void every_key_is_documented_and_shipped_with_its_default(void **state) {
        CLEANUP(freep)
        char *docs = source_read("docs/configuration.md"), *shipped = source_read("units/penstock.conf");

        (void) state;
        for (unsigned i = 0; i < _CONFIG_KEY_MAX; i++) {
                const ConfigKeyInfo *k = config_key_info((ConfigKey) i);
                char line[512], values[128];

                print_message("%s\n", k->name);
                snprintf(line, sizeof(line), "\n# %s\n#%s=%s\n", k->what, k->name, k->fallback);
                assert_non_null(strstr(shipped, line));
                values_text(k, values, sizeof(values));
                snprintf(line, sizeof(line), "\n| `%s` | `%s` | %s | %s | %s |\n", k->name,
                         k->fallback[0] ? k->fallback : " ", values, k->live ? "reload" : "start", k->what);
                assert_non_null(strstr(docs, line));
        }
}

/* The rows are | `TEXT` | BYTES | with "refused", "infinity", a number, or "N % of the host's memory". */
static void every_spelling_in_the_table_is_read_as_it_says(void **state) {
        const uint64_t ram = UINT64_C(12345678901);
        CLEANUP(freep) char *docs = source_read("docs/configuration.md");
        char *p = strstr(docs, "### Sizes, spelled\n");
        unsigned n = 0;

        (void) state;
        assert_non_null(p);
        for (p = strstr(p, "\n| `"); p && p < strstr(docs, "## `[Controller]`"); p = strstr(p + 1, "\n| `")) {
                char text[64], wanted[64];
                uint64_t bytes = 1, number;
                int r;

                assert_int_equal(sscanf(p, "\n| `%63[^`]` | %63[^|]", text, wanted), 2);
                print_message("%s: %s\n", text, wanted);
                r = size_parse(text, ram, &bytes);
                if (strcmp(wanted, "refused ") == 0)
                        assert_true(r == -EINVAL || r == -ERANGE);
                else
                        assert_int_equal(r, 0);
                if (strcmp(wanted, "infinity ") == 0)
                        assert_true(bytes == SIZE_INFINITY);
                else if (sscanf(wanted, "%" SCNu64, &number) == 1)
                        assert_true(bytes ==
                                    (strchr(wanted, '%') ? ram / 100 * number + ram % 100 * number / 100 : number));
                n++;
        }
        assert_true(n >= 40);
}

static void shipped_files_load_without_a_warning(void **state) {
        static const char *const files[] = { "awk.conf.in",    "clickhouse-local.conf.in",
                                             "duckdb.conf.in", "exec.conf",
                                             "perl.conf",      "psql.conf",
                                             "python.conf",    "r.conf",
                                             "shell.conf",     "sqlite.conf.in" };
        Tree *t = *state;
        LanguageSet s;
        Config c;

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                char from[64], to[128];
                CLEANUP(freep) char *text = NULL;

                snprintf(from, sizeof(from), "units/languages.d/%s", files[i]);
                text = source_read(from);
                snprintf(to, sizeof(to), "/usr/lib/penstock/languages.d/%.*s",
                         (int) (strstr(files[i], ".conf") + 5 - files[i]), files[i]);
                put(t, to, text);
        }
        {
                CLEANUP(freep) char *text = source_read("units/penstock.conf");

                put(t, "/usr/lib/penstock/penstock.conf", text);
        }
        c = load(t);
        config_done(&c);
        s = languages_load(t);
        print_message("%s", t->warnings);
        assert_string_equal(t->warnings, "");
        assert_int_equal(s.n, ELEMENTSOF(files));
        assert_int_equal(language_set_find(&s, "python")->compile.n, 5);
        assert_int_equal(language_set_find(&s, "sqlite")->database_access, PATH_READ_WRITE);
        for (size_t i = 0; i < s.n; i++)
                assert_non_null(s.v[i]->memory_note);
        language_set_done(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                WITH_TREE(languages_are_overridden_masked_and_skipped),
                WITH_TREE(a_language_that_cannot_be_read_is_no_bad_language),
                cmocka_unit_test(every_key_is_documented_and_shipped_with_its_default),
                cmocka_unit_test(every_spelling_in_the_table_is_read_as_it_says),
                WITH_TREE(shipped_files_load_without_a_warning),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
