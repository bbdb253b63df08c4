/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a sender is, by the bus daemon's own words: GetConnectionCredentials, whose figures the kernel gave it when the
 * connection was made. sd_bus_query_sender_creds() would block, and mix in what /proc says now. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus/server.h"
#include "core/request.h"

#define CALLER_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define STATUS_BYTES_MAX 4096 /* Uid: and Gid: stand among its first lines */

typedef struct Question {
        CallerHandler handler;
        void *userdata;
} Question;

typedef struct Credentials {
        bool has_uid, has_groups;
        uint32_t uid, pid;
        uint32_t *gids;
        size_t n_gids;
} Credentials;

static bool has_gid(const Credentials *c, uint32_t gid) {
        for (size_t i = 0; i < c->n_gids; i++)
                if (c->gids[i] == gid)
                        return true;
        return false;
}

static int read_groups(sd_bus_message *m, Credentials *c) {
        const void *gids;
        size_t bytes;
        int r = sd_bus_message_read_array(m, 'u', &gids, &bytes);

        if (r < 0)
                return r;
        if (bytes / sizeof(uint32_t) > REQUEST_GROUPS_MAX)
                return -E2BIG;
        c->n_gids = bytes / sizeof(uint32_t);
        c->gids = calloc(MAX(c->n_gids, 1u), sizeof(uint32_t));
        if (!c->gids)
                return -ENOMEM;
        if (bytes > 0)
                memcpy(c->gids, gids, bytes);
        c->has_groups = true;
        return 0;
}

static int read_entry(sd_bus_message *m, Credentials *c) {
        const char *key;
        int r = sd_bus_message_read_basic(m, 's', &key);

        if (r < 0)
                return r;
        if (strcmp(key, "UnixUserID") == 0) {
                r = sd_bus_message_read(m, "v", "u", &c->uid);
                c->has_uid = r >= 0;
                return r;
        }
        if (strcmp(key, "ProcessID") == 0)
                return sd_bus_message_read(m, "v", "u", &c->pid);
        if (strcmp(key, "UnixGroupIDs") != 0 || c->has_groups)
                return sd_bus_message_skip(m, "v");
        r = sd_bus_message_enter_container(m, 'v', "au");
        if (r >= 0)
                r = read_groups(m, c);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_credentials(sd_bus_message *m, Credentials *c) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_entry(m, c);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;
        return c->has_uid && c->has_groups ? 0 : -EOPNOTSUPP;
}

/* The effective gid of the process that connected; only for the same uid. */
static bool process_gid(const Credentials *c, uint32_t *ret_gid) {
        char path[64], text[STATUS_BYTES_MAX + 1];
        const char *uid_line, *gid_line;
        uint32_t uid, gid;
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%u/status", c->pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, text, STATUS_BYTES_MAX);
        close(fd);
        if (n <= 0)
                return false;
        text[n] = '\0';
        uid_line = strstr(text, "\nUid:");
        gid_line = strstr(text, "\nGid:");
        if (!uid_line || !gid_line || sscanf(uid_line, "\nUid: %*u %u", &uid) != 1 ||
            sscanf(gid_line, "\nGid: %*u %u", &gid) != 1 || uid != c->uid)
                return false;
        *ret_gid = gid;
        return true;
}

/* The bus daemon does not say which group is the first. The process may have gone or changed since; whatever it is
 * now, the answer is one of the connection's groups, so nobody gets more than he came with. */
static uint32_t primary_gid(const Credentials *c) {
        uint32_t gid;

        if (process_gid(c, &gid) && has_gid(c, gid))
                return gid;
        return c->gids[0];
}

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Question q = *(const Question *) userdata; /* the handler may drop the slot, and the question with it */
        Credentials c = {};
        Caller caller = {};
        int r = 0;

        (void) ret_error;
        if (sd_bus_message_is_method_error(m, NULL))
                r = -sd_bus_message_get_errno(m);
        else
                r = read_credentials(m, &c);
        if (r >= 0 && c.n_gids == 0)
                r = -EBADMSG; /* every process has a group */
        if (r >= 0)
                caller = (Caller) { .uid = c.uid, .gid = primary_gid(&c), .gids = c.gids, .n_gids = c.n_gids };
        q.handler(r, r >= 0 ? &caller : NULL, q.userdata);
        free(c.gids);
        return 0;
}

int caller_ask(sd_bus *bus, const char *sender, CallerHandler handler, void *userdata, sd_bus_slot **ret_slot) {
        sd_bus_message *m = NULL;
        sd_bus_slot *slot = NULL;
        Question *q;
        int r;

        q = malloc(sizeof(*q));
        if (!q)
                return -ENOMEM;
        *q = (Question) { .handler = handler, .userdata = userdata };
        r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                           "org.freedesktop.DBus", "GetConnectionCredentials");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', sender);
        if (r >= 0)
                r = sd_bus_call_async(bus, &slot, m, on_credentials, q, CALLER_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        if (r < 0) {
                free(q);
                return r;
        }
        (void) sd_bus_slot_set_destroy_callback(slot, free);
        *ret_slot = slot;
        return 0;
}
