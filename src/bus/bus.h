/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus: the D-Bus face of penstockd, as org.penstock1.xml says. It decodes, bounds and checks what callers send,
 * decides who may ask for what, and shows what the engine knows; it has no policy of its own on queries.
 *
 * Wiring: bus_server_new(); manager_new(…, &bus_server_ops, server, …); bus_server_attach(); and only when the
 * manager is ready, sd_bus_request_name(). Calls before bus_server_attach() find no object. */
#pragma once

#include <systemd/sd-bus.h>

#include "daemon/manager.h"

typedef struct BusServer BusServer;

#define BUS_NAME "org.penstock1"
#define BUS_GROUP "penstock" /* its members may submit */

/* For manager_new(), with the BusServer as userdata. */
extern const ManagerOps bus_server_ops;

/* @bus and @asking_bus are the system bus, attached to an event loop. Calls come by @bus; who sends one, and whether polkit lets him,
 * is asked by @asking_bus, where no answer that a caller does not take can be in the way. They may be the same one. A call on
 * @asking_bus that names no limit has none from here on. Looks the group up, and so may block: before serving. Returns 0 or -errno;
 * then @ret is untouched. */
int bus_server_new(sd_bus *bus, sd_bus *asking_bus, BusServer **ret);

/* Put the objects on the bus. @m must outlive the server, or be detached first: bus_server_attach(s, NULL) takes the
 * objects away and forgets the calls that wait. Returns 0 or -errno; then there are no objects. */
int bus_server_attach(BusServer *s, Manager *m);

/* For reloads that did not come by D-Bus (SIGHUP): look the group up again, off the loop. */
void bus_server_reload(BusServer *s);

BusServer *bus_server_free(BusServer *s); /* takes NULL, returns NULL */

#define BUS_LEAVE_USEC (1 * USEC_PER_SEC)

/* Send what waits to be sent, but for BUS_LEAVE_USEC at most, close and free: those who leave our answers unread decide when the bus
 * daemon takes more of them, and penstockd's queries hold until another one is there. Blocks. Takes NULL. */
void bus_leave(sd_bus *bus);
