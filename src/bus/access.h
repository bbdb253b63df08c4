/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/access: who may do what by himself. Decides on what it is given; asks nobody and blocks on nothing. Whom polkit may let beside
 * them is bus/permission's. The table is in docs/dbus.md. */
#pragma once

#include "core/config.h"
#include "core/query.h"

/* Who sent a call, as the bus daemon says of the connection (and so: not who the user is now in /etc/group). */
typedef struct Caller {
        uint32_t uid, gid;
        uint32_t *gids;
        size_t n_gids;
} Caller;

int caller_copy(const Caller *c, Caller *ret); /* 0 or -ENOMEM; then @ret is untouched */
void caller_done(Caller *c);

typedef struct AccessPolicy {
        bool has_group; /* the group penstock exists */
        uint32_t group_gid;
} AccessPolicy;

/* Each returns 0, or -EACCES with @ret_error: PermissionDenied, who was refused, and what would help. */

/* May @c submit queries? Root and members of the group. */
int access_check_submit(const AccessPolicy *p, const Caller *c, Error *ret_error);
/* May @c ask for @priority? Above 0 root. */
int access_check_priority(const Caller *c, int32_t priority, Error *ret_error);
/* May @c name another user to run as? Root. */
int access_check_user(const Caller *c, Error *ret_error);
/* May a query run as @uid? Not as root, unless AllowRootQueries=yes. */
int access_check_target(const Config *config, uint32_t uid, Error *ret_error);
/* May @c use @method of the query @q? Its owner (whom it runs as) and root. */
int access_check_query(const Caller *c, const Query *q, const char *method, Error *ret_error);
/* May @c use @method of the Controller, which concerns everybody? Root. */
int access_check_admin(const Caller *c, const char *method, Error *ret_error);
