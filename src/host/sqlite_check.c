/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sqlite-check DATABASE [FILE]: prepares each statement of a script for the sqlite3 shell without running it.
 * The script comes from FILE or stdin. Exit status 1 and a message with the line number for what cannot be right;
 * 0 for all else. It must never refuse what the shell would run, so it stops, content, at the first statement that it
 * cannot judge: one that depends on what the script itself changes, on the shell's own functions, or on a database
 * that cannot be read here (a WAL database on a read-only mount has no -shm file to share). */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCRIPT_BYTES_MAX ((size_t) 64 << 20) /* longer ones are run unchecked */
#define BUSY_TIMEOUT_MSEC 1000

typedef enum Outcome { GOES_ON, CANNOT_JUDGE, REFUSED } Outcome;

typedef struct Check {
        sqlite3 *db;
        const char *text, *p; /* @p: the next statement */
        bool schema_changes;  /* a statement that changes what later ones mean was seen */
} Check;

/* Called while a statement is prepared, for each thing it would do. */
static int on_action(void *userdata, int action, const char *a, const char *b, const char *c, const char *d) {
        Check *check = userdata;

        (void) a, (void) b, (void) c, (void) d;
        switch (action) {
        case SQLITE_SELECT:
        case SQLITE_READ:
        case SQLITE_INSERT:
        case SQLITE_UPDATE:
        case SQLITE_DELETE:
        case SQLITE_FUNCTION:
        case SQLITE_TRANSACTION:
        case SQLITE_SAVEPOINT:
        case SQLITE_RECURSIVE: return SQLITE_OK;
        case SQLITE_PRAGMA: /* some act when they are prepared */ check->schema_changes = true; return SQLITE_IGNORE;
        default: check->schema_changes = true; return SQLITE_OK;
        }
}

static bool has_prefix(const char *s, const char *prefix) {
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* What the sqlite3 shell has and the library has not. */
static bool is_shell_only(const char *message) {
        static const char *const tables[] = { "bytecode",        "completion", "dbstat",        "fsdir",
                                              "generate_series", "sha3",       "sqlite_dbpage", "sqlite_stmt",
                                              "tables_used",     "vfsstat",    "zipfile" };
        static const char no_table[] = "no such table: ";

        if (has_prefix(message, "no such function") || has_prefix(message, "no such module") ||
            has_prefix(message, "no such collation") || has_prefix(message, "unknown tokenizer") ||
            strstr(message, "vtable constructor") || has_prefix(message, "wrong number of arguments"))
                return true;
        for (size_t i = 0; has_prefix(message, no_table) && i < sizeof(tables) / sizeof(tables[0]); i++)
                if (strcmp(message + strlen(no_table), tables[i]) == 0)
                        return true;
        return false;
}

static bool is_syntax(const char *message) {
        return strstr(message, ": syntax error") || strcmp(message, "incomplete input") == 0 ||
               has_prefix(message, "unrecognized token");
}

static int line_of(const Check *c, const char *p) {
        int line = 1;

        for (const char *s = c->text; s < p; s++)
                line += *s == '\n';
        return line;
}

static Outcome error_judge(Check *c, int rc) {
        const char *message = sqlite3_errmsg(c->db);
        int offset = -1;

        if (!is_syntax(message) && ((rc & 0xff) != SQLITE_ERROR || c->schema_changes || is_shell_only(message)))
                return CANNOT_JUDGE; /* busy, locked …: the engine itself will say */
#if SQLITE_VERSION_NUMBER >= 3038000
        offset = sqlite3_error_offset(c->db);
#endif
        fprintf(stderr, "line %d: %s\n", line_of(c, c->p + (offset > 0 ? offset : 0)), message);
        return REFUSED;
}

static const char *line_end(const char *p) {
        const char *end = strchr(p, '\n');

        return end ? end + 1 : p + strlen(p);
}

/* A line that the shell takes for a command of its own. */
static Outcome dot_command(Check *c, const char *p) {
        static const char *const harmless[] = { "bail",   "changes", "echo",      "eqp",       "explain",
                                                "header", "headers", "mode",      "nullvalue", "once",
                                                "output", "print",   "scanstats", "separator", "show",
                                                "stats",  "timeout", "timer",     "width" };
        size_t n = strcspn(p + 1, " \t\r\n");

        for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
                if (strlen(harmless[i]) == n && strncmp(p + 1, harmless[i], n) == 0)
                        return GOES_ON;
        if (n > 0 && (strncmp(p + 1, "quit", n) == 0 || strncmp(p + 1, "exit", n) == 0))
                return CANNOT_JUDGE; /* what follows is not run */
        c->schema_changes = true;    /* .open, .read, .import, .load … */
        return GOES_ON;
}

/* Move to the next statement, over blanks, comments and the shell's own lines, which begin in the first column. */
static Outcome statement_find(Check *c) {
        const char *p = c->p;

        for (;;) {
                bool first_column = p == c->text || p[-1] == '\n';

                if (first_column && *p == '.' && dot_command(c, p) != GOES_ON)
                        return CANNOT_JUDGE;
                if (first_column && (*p == '.' || *p == '#')) {
                        p = line_end(p);
                } else if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n' || *p == '\f' || *p == ';') {
                        p++;
                } else if (p[0] == '-' && p[1] == '-') {
                        p = line_end(p);
                } else if (p[0] == '/' && p[1] == '*') {
                        p = strstr(p + 2, "*/");
                        if (!p)
                                return CANNOT_JUDGE; /* an open comment runs to the end */
                        p += 2;
                } else {
                        break;
                }
        }
        c->p = p;
        return GOES_ON;
}

/* A line of only "/" or "go" ends a statement for the shell; where, depends on its state, which is not followed here.
 */
static bool has_terminator_line(const char *text) {
        for (const char *p = text; *p; p = line_end(p)) {
                const char *s = p + strspn(p, " \t");
                size_t n = *s == '/' ? 1 : (s[0] == 'g' || s[0] == 'G') && (s[1] == 'o' || s[1] == 'O') ? 2 : 0;

                if (n > 0) {
                        s += n + strspn(s + n, " \t\r");
                        if (*s == '\n' || *s == '\0')
                                return true;
                }
        }
        return false;
}

/* False when the schema cannot be read: then nothing about names can be said. */
static bool schema_is_readable(Check *c) {
        sqlite3_stmt *statement = NULL;
        int rc = sqlite3_prepare_v2(c->db, "select 1 from sqlite_master", -1, &statement, NULL);

        sqlite3_finalize(statement);
        return rc == SQLITE_OK;
}

static Outcome script_check(Check *c) {
        if (has_terminator_line(c->text) || !schema_is_readable(c))
                return CANNOT_JUDGE;
        for (;;) {
                sqlite3_stmt *statement = NULL;
                const char *tail = NULL;
                Outcome o = statement_find(c);
                int rc;

                if (o != GOES_ON || *c->p == '\0')
                        return o;
                rc = sqlite3_prepare_v2(c->db, c->p, -1, &statement, &tail);
                sqlite3_finalize(statement);
                if (rc != SQLITE_OK)
                        return error_judge(c, rc);
                if (tail == c->p)
                        return CANNOT_JUDGE;
                c->p = tail;
        }
}

/* The whole of @fd with a NUL behind it; NULL (errno 0: too long, or it holds a NUL and so is no text). */
static char *script_read(int fd) {
        size_t used = 0, size = 64 << 10;
        char *text = malloc(size + 1), *larger;
        ssize_t n;

        while (text) {
                n = read(fd, text + used, size - used);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                used += (size_t) n;
                if (used < size)
                        continue;
                size *= 2;
                larger = size <= SCRIPT_BYTES_MAX ? realloc(text, size + 1) : NULL;
                if (!larger) {
                        free(text);
                        errno = size <= SCRIPT_BYTES_MAX ? ENOMEM : 0;
                        return NULL;
                }
                text = larger;
        }
        if (!text || n < 0) {
                free(text);
                return NULL;
        }
        text[used] = '\0';
        if (strlen(text) == used)
                return text;
        free(text);
        errno = 0;
        return NULL;
}

static int database_open(const char *database, sqlite3 **ret) {
        bool memory = database[0] == '\0' || strcmp(database, ":memory:") == 0;
        int flags = memory ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY : SQLITE_OPEN_READONLY;

        if (!memory && access(database, F_OK) < 0 && errno == ENOENT) {
                fprintf(stderr, "there is no database file %s\n", database);
                return -ENOENT;
        }
        return sqlite3_open_v2(database, ret, flags, NULL) == SQLITE_OK ? 0 : 1;
}

int main(int argc, char *argv[]) {
        Check check = {};
        char *text;
        int fd = 0, r;

        if (argc < 2 || argc > 3) {
                fprintf(stderr, "usage: sqlite-check DATABASE [FILE]\n");
                return 2;
        }
        if (argc == 3)
                fd = open(argv[2], O_RDONLY | O_CLOEXEC);
        text = fd < 0 ? NULL : script_read(fd);
        if (!text) {
                if (errno == 0)
                        return 0;
                fprintf(stderr, "the query cannot be read: %s\n", strerror(errno));
                return 1;
        }
        r = database_open(argv[1], &check.db);
        if (r == 0) {
                sqlite3_busy_timeout(check.db, BUSY_TIMEOUT_MSEC);
                sqlite3_set_authorizer(check.db, on_action, &check);
                check.text = check.p = text;
                r = script_check(&check) == REFUSED ? -EINVAL : 0;
        }
        sqlite3_close(check.db);
        free(text);
        return r < 0;
}
