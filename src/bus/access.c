/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/access.h"

#include <errno.h>
#include <string.h>

#include "bus/bus.h"

int caller_copy(const Caller *c, Caller *ret) {
        uint32_t *gids = NULL;

        if (c->n_gids > 0) {
                gids = calloc(c->n_gids, sizeof(*gids));
                if (!gids)
                        return -ENOMEM;
                memcpy(gids, c->gids, c->n_gids * sizeof(*gids));
        }
        *ret = (Caller) { .uid = c->uid, .gid = c->gid, .gids = gids, .n_gids = c->n_gids };
        return 0;
}

void caller_done(Caller *c) {
        free(c->gids);
        *c = (Caller) {};
}

static bool caller_in_group(const Caller *c, uint32_t gid) {
        if (c->gid == gid)
                return true;
        for (size_t i = 0; i < c->n_gids; i++)
                if (c->gids[i] == gid)
                        return true;
        return false;
}

int access_check_submit(const AccessPolicy *p, const Caller *c, Error *ret_error) {
        if (c->uid == 0)
                return 0;
        if (!p->has_group)
                return error_set(ret_error, ERROR_PERMISSION_DENIED,
                                 "there is no group " BUS_GROUP
                                 ", so only root may submit queries; an administrator can "
                                 "make it with: groupadd --system " BUS_GROUP "; systemctl reload penstockd");
        if (!caller_in_group(c, p->group_gid))
                return error_set(ret_error, ERROR_PERMISSION_DENIED,
                                 "uid %u is not in group " BUS_GROUP
                                 "; an administrator can add it with: usermod -aG " BUS_GROUP
                                 " \"$(id -un %u)\", then log in again",
                                 c->uid, c->uid);
        return 0;
}

int access_check_user(const Caller *c, Error *ret_error) {
        if (c->uid == 0)
                return 0;
        return error_set(ret_error, ERROR_PERMISSION_DENIED, "user: only root may name another user, not uid %u",
                         c->uid);
}

int access_check_priority(const Caller *c, int32_t priority, Error *ret_error) {
        if (c->uid == 0 || priority <= 0)
                return 0;
        return error_set(ret_error, ERROR_PERMISSION_DENIED, "priority %d: above 0 is for root, not for uid %u", priority,
                         c->uid);
}

int access_check_target(const Config *config, uint32_t uid, Error *ret_error) {
        if (uid != 0 || config->allow_root_queries)
                return 0;
        return error_set(ret_error, ERROR_PERMISSION_DENIED,
                         "queries don't run as root: name a user (penstockctl: --user), or set AllowRootQueries=yes");
}

int access_check_query(const Caller *c, const Query *q, const char *method, Error *ret_error) {
        if (c->uid == 0 || c->uid == q->spec.uid)
                return 0;
        return error_set(ret_error, ERROR_PERMISSION_DENIED,
                         "query %llu belongs to uid %u; %s is for its owner and root, not for uid %u",
                         (unsigned long long) q->id, q->spec.uid, method, c->uid);
}

int access_check_admin(const Caller *c, const char *method, Error *ret_error) {
        if (c->uid == 0)
                return 0;
        return error_set(ret_error, ERROR_PERMISSION_DENIED, "%s is for root, not for uid %u", method, c->uid);
}
