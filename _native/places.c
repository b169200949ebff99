/* The ports of a switch: plugged, unplugged, waited for; and the guests that come in at a door.
 *
 * A port that listens is a door: its guests are ports of the switch as soon as they have connected. Where it takes one guest
 * at a time, it is the guest's port itself; otherwise each guest has a place of its own there, which stays, with its name and
 * counters, for the next guest.
 *
 * A port whose wire is gone is noted while its frames may still be on their way, and unplugged after the round.
 */
#include "switch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ACCEPTED 64                  /* guests that a door lets in, in one round */
#define QUEUE (1 << 20)              /* bytes asked of the kernel for what a guest has not taken yet */

/* ---- events ---- */

/* The place of an event, and whether it is the door's; NULL where it is gone since. */
struct vn_place *vn_place_of(const struct vn_switch *sw, uint64_t event, bool *door)
{
	const uint32_t slot = (uint32_t)event >> 1;
	struct vn_place *place = slot < sw->slots ? sw->places[slot] : NULL;
	*door = event & 1;
	return place && place->id == event >> 32 ? place : NULL;
}

static int watch(const struct vn_switch *sw, const struct vn_place *place, int operation, int fd, uint32_t events)
{
	const bool door = place->door && fd == place->door->wait_fd;
	struct epoll_event event = {.events = events, .data.u64 = (uint64_t)place->id << 32 | place->slot << 1 | door};
	return epoll_ctl(sw->epoll_fd, operation, fd, &event) ? -errno : 0;
}

/* Hear of it, or no more, when a port that is full takes frames again. */
void vn_place_wait(struct vn_switch *sw, struct vn_place *place, bool wait)
{
	const struct vn_port *port = place->port;
	sw->has_retries |= wait && place->retries;
	if (wait == place->waits)
		return;
	place->waits = wait;
	if (port->tx.fd == port->wait_fd)
		watch(sw, place, EPOLL_CTL_MOD, port->wait_fd, EPOLLIN | (wait ? EPOLLOUT : 0));
	else
		watch(sw, place, wait ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, port->tx.fd, EPOLLOUT);
}

void vn_place_lose(struct vn_switch *sw, struct vn_place *place, int error)
{
	place->error = error;
	place->is_lost = sw->has_losses = true;
}

/* ---- places ---- */

/* Which ports frames may be sent to. */
void vn_place_gather(struct vn_switch *sw)
{
	sw->lives = 0;
	for (uint32_t i = 0; i < sw->slots; i++)
		if (sw->places[i] && sw->places[i]->plugged && sw->places[i] != sw->monitor)
			sw->live[sw->lives++] = sw->places[i];
}

struct vn_place *vn_place_make(struct vn_switch *sw, const char *name, const struct vn_switch_settings *settings)
{
	uint32_t slot = 0;
	while (slot < sw->slots && sw->places[slot])
		slot++;
	if (slot == VN_SWITCH_PORTS)
		return NULL;
	struct vn_place *place = calloc(1, sizeof(*place));
	if (!place)
		return NULL;
	place->settings = *settings;
	place->id = ++sw->ids;
	place->slot = slot;
	place->storm_at = vn_now();
	place->storm_left = settings->storm;
	snprintf(place->name, sizeof(place->name), "%s", name);
	vn_table_join(&sw->table, &place->owner, settings->addresses);
	sw->places[slot] = place;
	if (slot == sw->slots)
		sw->slots++;
	return place;
}

/* Let frames come and go. */
int vn_place_plug(struct vn_switch *sw, struct vn_place *place, struct vn_port *port)
{
	int rc = watch(sw, place, EPOLL_CTL_ADD, port->wait_fd, EPOLLIN);
	if (rc)
		return rc;
	place->port = port;
	place->plugged = true;
	place->error = 0;
	vn_place_gather(sw);
	return 0;
}

/* No frame comes or goes any more. A guest's port ends with this, and its counters are kept. */
void vn_place_unplug(struct vn_switch *sw, struct vn_place *place)
{
	struct vn_port *port = place->port;
	if (place->plugged) {
		vn_place_wait(sw, place, false);
		watch(sw, place, EPOLL_CTL_DEL, port->wait_fd, 0);
		vn_table_forget(&sw->table, &place->owner);
		vn_place_count(place, VN_SWITCH_DROP_DOWN, place->queue.frames);
		if (place->spoil)
			vn_place_count(place, VN_SWITCH_DROP_DOWN, vn_spoil_empty(place->spoil));
		vn_queue_free(&place->queue);
		place->plugged = place->is_lost = place->retries = false;
		vn_place_gather(sw);
	}
	if (!port || !(place->door || place->host))
		return;
	place->port = NULL;
	for (int i = 0; i < VN_COUNTERS; i++)
		place->past[i] += vn_port_counter(port, i);
	if (port->recorder)
		vn_recorder_remove(port->recorder, port);
	vn_port_free(port);
}

void vn_place_end(struct vn_switch *sw, struct vn_place *place)
{
	for (uint32_t i = 0; place->door && i < sw->slots; i++)
		if (sw->places[i] && sw->places[i]->host == place)
			vn_place_end(sw, sw->places[i]);
	if (place->door)
		watch(sw, place, EPOLL_CTL_DEL, place->door->wait_fd, 0);
	if (place->waiting)
		close(place->waiting);
	vn_place_unplug(sw, place);
	if (place->port && place->port->recorder)
		vn_recorder_remove(place->port->recorder, place->port);
	vn_table_leave(&sw->table, &place->owner);
	if (sw->monitor == place)
		sw->monitor = NULL;
	sw->places[place->slot] = NULL;
	sw->spoils -= place->spoil != NULL;
	vn_spoil_free(place->spoil);
	free(place);
	vn_place_gather(sw);
}

/* Let guests in by a port that listens. */
int vn_place_open_door(struct vn_switch *sw, struct vn_place *place, struct vn_port *port)
{
	place->door = port;
	return watch(sw, place, EPOLL_CTL_ADD, port->wait_fd, EPOLLIN);
}

struct vn_place *vn_place_find(const struct vn_switch *sw, uint32_t number)
{
	for (uint32_t i = 0; i < sw->slots; i++)
		if (sw->places[i] && sw->places[i]->id == number)
			return sw->places[i];
	return NULL;
}

bool vn_place_is_named(const struct vn_switch *sw, const char *name)
{
	for (uint32_t i = 0; i < sw->slots; i++)
		if (sw->places[i] && !strcmp(sw->places[i]->name, name))
			return true;
	return false;
}

/* ---- guests ---- */

/* A connection's port has the door's options. */
static int open_guest(const struct vn_port *door, int fd, struct vn_port **out)
{
	const int size = QUEUE;
	char texts[5][24];
	const uint64_t values[] = {(uint64_t)fd, door->depth, door->mtu, door->gro, door->vec};
	const char *const keys[] = {"fd", "depth", "mtu", "gro", "vec"};
	struct vn_option options[5];
	struct vn_failure failure;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* as much as wmem_max allows */
	for (int i = 0; i < 5; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%llu", (unsigned long long)values[i]);
		options[i] = (struct vn_option){keys[i], texts[i]};
	}
	return vn_port_open("fd", options, 5, door->flags & ~(uint32_t)VN_SWITCH, out, &failure);
}

/* A place whose guest has gone may not have noticed yet: it still has frames of it to receive. */
static bool is_left(struct vn_switch *sw, struct vn_place *place)
{
	if (place->port && vn_is_hung_up(place->port)) {
		while (!place->is_lost && vn_sort(sw, place) > 0)
			vn_flush(sw);
		vn_place_unplug(sw, place);
	}
	return !place->port;
}

/* Where the next guest goes: to the first place that is free, or a new one; NULL where there is none. */
static struct vn_place *seat(struct vn_switch *sw, struct vn_place *host)
{
	struct vn_place *first = NULL;
	uint32_t count = 0;
	if (host->settings.guests == 1)
		return is_left(sw, host) ? host : NULL;
	for (uint32_t i = 0; i < sw->slots; i++) {
		struct vn_place *place = sw->places[i];
		if (!place || place->host != host)
			continue;
		count++;
		if ((!first || place->number < first->number) && is_left(sw, place))
			first = place;
	}
	if (first || count >= host->settings.guests)
		return first;
	char name[VN_SWITCH_NAME + 16];
	snprintf(name, sizeof(name), "%s.%u", host->name, count + 1);
	first = vn_place_is_named(sw, name) ? NULL : vn_place_make(sw, name, &host->settings);
	if (first) {
		first->host = host;
		first->number = count + 1;
		first->mirrored = host->mirrored;
		first->recorder = host->recorder;
		first->spoil = vn_spoil_like(host->spoil);
		sw->spoils += first->spoil != NULL;
	}
	return first;
}

static int welcome(struct vn_switch *sw, struct vn_place *host, int fd)
{
	struct vn_place *place = seat(sw, host);
	struct vn_port *port;
	int rc = place ? open_guest(host->door, fd, &port) : -EBUSY;
	if (rc)
		return rc;
	rc = vn_place_plug(sw, place, port);
	if (rc) {
		vn_port_free(port);
		return rc;
	}
	vn_place_count(place, VN_SWITCH_CONNECTED, 1);
	if (place->recorder)
		vn_recorder_add(place->recorder, port, place->name, "a port of a switch");
	return 0;
}

/* Whether an error is for want of descriptors or memory, which there may be later. */
static bool lacks_means(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOBUFS || rc == -ENOSPC;
}

void vn_place_accept(struct vn_switch *sw, struct vn_place *host)
{
	for (int i = 0; i < ACCEPTED; i++) {
		const int fd = host->waiting ? host->waiting : host->door->transport.accept(host->door);
		const int rc = fd < 0 ? fd : welcome(sw, host, fd);
		const bool later = lacks_means(rc);
		host->waiting = fd > 0 && later ? fd : 0;
		if (later != host->is_shut) /* else the event would come again and again */
			watch(sw, host, EPOLL_CTL_MOD, host->door->wait_fd, later ? 0 : EPOLLIN);
		host->is_shut = later;
		sw->has_retries |= later;
		if (fd < 0 || later)
			return;
		if (rc)
			vn_place_count(host, VN_SWITCH_REFUSED, 1);
		close(fd); /* its port has a copy */
	}
}
