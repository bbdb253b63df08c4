/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/picture_size: how large a picture may be, in pixels. Less has no room for what it says; more is one for nobody.
 */
#pragma once

#define PICTURE_WIDTH_MIN 360u
#define PICTURE_HEIGHT_MIN 280u
#define PICTURE_SIDE_MAX 4000u
#define PICTURE_WIDTH_DEFAULT 1000u
#define PICTURE_HEIGHT_DEFAULT 560u

/* How many queries a picture of the history is made of: what the service keeps if nobody says otherwise. */
#define PAST_ROWS_MAX 100000u
