/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/top: what the screen and the batch of `top` are started with. */
#pragma once

#include "ctl/top_feed.h"

#define TOP_FOR_EVER UINT64_MAX

typedef struct TopOptions {
        uint64_t delay_usec, iterations; /* TOP_FOR_EVER */
        TopColumn sort;
        const char *filter; /* may be NULL */
        bool batch;
} TopOptions;

/* Both take over @client, which has been answered once, and return the exit status. */
int top_screen_run(const Verb *verb, const TopOptions *o, PenstockClient *client);
int top_batch_run(const Verb *verb, const TopOptions *o, PenstockClient *client);

/* What both begin with: @t for @o. */
void top_begin(Top *t, const TopOptions *o, bool ascii);
