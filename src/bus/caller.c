/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who sent a message, as the bus daemon knows its connection: asked asynchronously, cached never. The groups are those
 * the caller had when it connected (SO_PEERGROUPS), so that a query never runs with more. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus/server.h"

#define CALLER_TIMEOUT_USEC (30 * USEC_PER_SEC)

typedef struct Ask {
        CallerHandler handler;
        void *userdata;
} Ask;

/* The bus does not tell which of the groups is the primary one, so the process is asked. Its pid may have been used
 * again: what it says counts only if it is of the same user and in the caller's own list. */
static int primary_gid(uint32_t pid, const Caller *c, uint32_t *ret_gid) {
        char path[64], text[4096];
        unsigned uid = 0, gid = 0;
        const char *uids, *gids;
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%u/status", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n <= 0)
                return -ESRCH;
        text[n] = 0;
        /* "Uid: real effective saved fs" */
        uids = strstr(text, "\nUid:");
        gids = strstr(text, "\nGid:");
        if (!uids || !gids || sscanf(uids, "\nUid: %*u %u", &uid) != 1 || sscanf(gids, "\nGid: %*u %u", &gid) != 1)
                return -EBADMSG;
        if (uid != c->uid)
                return -ESRCH;
        for (size_t i = 0; i < c->n_gids; i++)
                if (c->gids[i] == gid) {
                        *ret_gid = gid;
                        return 0;
                }
        return -ESRCH;
}

static int read_credentials(sd_bus_message *m, Caller *c, uint32_t *ret_pid) {
        bool has_uid = false, has_gids = false;
        const char *key;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                if (strcmp(key, "UnixUserID") == 0) {
                        r = sd_bus_message_read(m, "v", "u", &c->uid);
                        has_uid = r >= 0;
                } else if (strcmp(key, "ProcessID") == 0)
                        r = sd_bus_message_read(m, "v", "u", ret_pid);
                else if (strcmp(key, "UnixGroupIDs") == 0) {
                        const void *gids;
                        size_t size;

                        r = sd_bus_message_enter_container(m, 'v', "au");
                        if (r >= 0)
                                r = sd_bus_message_read_array(m, 'u', &gids, &size);
                        if (r >= 0 && size > 0) {
                                free(c->gids);
                                c->gids = malloc(size);
                                if (!c->gids)
                                        return -ENOMEM;
                                memcpy(c->gids, gids, size);
                                c->n_gids = size / sizeof(uint32_t);
                                has_gids = true;
                        }
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                } else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;
        return has_uid && has_gids ? 0 : -ENODATA;
}

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Ask *a = userdata;
        CLEANUP(caller_done) Caller c = {};
        uint32_t pid = 0;
        int r;

        (void) ret_error;
        if (sd_bus_message_is_method_error(m, NULL))
                r = -sd_bus_message_get_errno(m);
        else
                r = read_credentials(m, &c, &pid);
        if (r >= 0)
                r = primary_gid(pid, &c, &c.gid);
        a->handler(r, r < 0 ? NULL : &c, a->userdata);
        return 0;
}

int caller_ask(sd_bus *bus, const char *sender, CallerHandler handler, void *userdata, sd_bus_slot **ret_slot) {
        sd_bus_message *m = NULL;
        Ask *a = malloc(sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (Ask) { .handler = handler, .userdata = userdata };
        r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                           "org.freedesktop.DBus", "GetConnectionCredentials");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", sender);
        if (r >= 0)
                r = sd_bus_call_async(bus, ret_slot, m, on_credentials, a, CALLER_TIMEOUT_USEC);
        if (r >= 0)
                r = sd_bus_slot_set_destroy_callback(*ret_slot, free);
        else
                free(a);
        sd_bus_message_unref(m);
        return r;
}
