/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/top_feed: asks the service what `top` shows, on an event loop. An update is two calls, and one for each query
 * whose details are wanted. While the service is away it is asked with each update whether it is back; none of that
 * starts it. */
#pragma once

#include <systemd/sd-event.h>

#include "ctl/top_model.h"

typedef enum FeedNews {
        FEED_UPDATED, /* an update is complete, or failed: trouble says why */
        FEED_CHANGED, /* something else is known */
} FeedNews;

typedef void (*FeedHandler)(FeedNews news, void *userdata);
typedef struct Feed Feed;

/* Takes over @client, which has been answered once; on failure too. @t is the caller's. Returns 0 or -errno. */
int feed_new(sd_event *event, PenstockClient *client, Top *t, FeedHandler handler, void *userdata, Feed **ret);
Feed *feed_free(Feed *f); /* takes NULL, returns NULL */

/* Begin an update, if none is under way. */
void feed_update(Feed *f);
/* Ask for details that are shown and not known yet. */
void feed_missing(Feed *f);
/* Describe @id; its answer becomes the inspected query if that is still the subject. */
void feed_inspect(Feed *f, uint64_t id);
void feed_cancel(Feed *f, uint64_t id);
