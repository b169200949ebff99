/* A learning switch: its ports, its rounds, and who may look at it meanwhile. How frames find their way is in sorting.c.
 *
 * One thread runs it. A round is one epoll_wait, a batch from each port that has frames, and a batch to each that gets some.
 * All that the thread and others share is under one mutex, which it holds through a round but not while it waits. Whoever
 * wants it is counted first, and the thread lets one of them go before its next round: so nobody has to wait for longer than
 * a round, and looking costs the switch nothing while nobody looks.
 */
#include "switch.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 256                   /* ports that a round visits, at the most: the kernel tells of the others first next time */
#define RETRY 1                      /* milliseconds until what no event tells of is tried again */
#define MILLISECOND INT64_C(1000000)
#define STOP UINT64_MAX              /* the event of stop.fd; no place has it */

/* ---- whose turn it is ---- */

static void enter(struct vn_switch *sw)
{
	__atomic_add_fetch(&sw->asking, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&sw->mutex);
}

static void leave(struct vn_switch *sw)
{
	__atomic_sub_fetch(&sw->asking, 1, __ATOMIC_SEQ_CST);
	pthread_cond_signal(&sw->turn);
	pthread_mutex_unlock(&sw->mutex);
}

/* ---- rounds ---- */

static void after(struct vn_switch *sw)
{
	if (sw->has_retries) {
		sw->has_retries = false;
		for (uint32_t i = 0; i < sw->slots; i++) {
			struct vn_place *place = sw->places[i];
			if (place && place->waits && place->retries)
				vn_drain_queue(sw, place);
			if (place && place->is_shut)
				vn_place_accept(sw, place);
		}
	}
	sw->due = INT64_MAX;
	for (uint32_t i = 0; sw->spoils && i < sw->lives; i++) {
		struct vn_place *place = sw->live[i];
		if (!place->spoil)
			continue;
		const int64_t due = vn_spoil_release(place, sw->now);
		sw->due = due < sw->due ? due : sw->due;
		if (place->queue.frames && !place->waits)
			vn_drain_queue(sw, place);
	}
	if (sw->has_losses) {
		sw->has_losses = false;
		for (uint32_t i = 0; i < sw->slots; i++)
			if (sw->places[i] && sw->places[i]->is_lost)
				vn_place_unplug(sw, sw->places[i]);
	}
	if (sw->time != sw->swept)
		vn_table_sweep(&sw->table, sw->time);
	sw->swept = sw->time;
}

static void visit(struct vn_switch *sw, struct vn_place *place, uint32_t events)
{
	if (events & EPOLLOUT)
		vn_drain_queue(sw, place);
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && !vn_sort(sw, place) && events & EPOLLHUP && !place->is_lost)
		vn_place_lose(sw, place, EPIPE); /* its socket will never have frames again, and has no more to say */
}

static void round_of(struct vn_switch *sw, const struct epoll_event *events, int count)
{
	bool knocks = false;
	sw->now = vn_now();
	sw->time = (uint32_t)(sw->now / MILLISECOND);
	for (int i = 0; i < count; i++) {
		bool door;
		struct vn_place *place = vn_place_of(sw, events[i].data.u64, &door);
		uint64_t stops;
		if (events[i].data.u64 == STOP && read(sw->stop.fd, &stops, sizeof(stops)) < 0)
			continue;
		if (place && door)
			knocks = true;
		else if (place && place->plugged)
			visit(sw, place, events[i].events);
	}
	vn_flush(sw);
	for (int i = 0; knocks && i < count; i++) { /* last, for they may come in the place of those that left */
		bool door;
		struct vn_place *place = vn_place_of(sw, events[i].data.u64, &door);
		if (place && door)
			vn_place_accept(sw, place);
	}
	after(sw);
}

/* Whether the run is to end. The flag is set before the descriptor is written to: whoever reads that finds the flag. */
static bool take_stop(struct vn_switch *sw)
{
	return __atomic_exchange_n(&sw->stop.stopped, 0, __ATOMIC_ACQ_REL);
}

/* Milliseconds to wait for events, negative for ever. */
static int patience(const struct vn_switch *sw, int64_t end)
{
	int64_t left = end < 0 ? -1 : end - vn_now();
	left = left > 0 ? (left + MILLISECOND - 1) / MILLISECOND : left;
	if (end >= 0 && left < 0)
		left = 0;
	if (sw->due != INT64_MAX) {
		const int64_t due = sw->due > vn_now() ? (sw->due - vn_now() + MILLISECOND - 1) / MILLISECOND : 0;
		if (left < 0 || left > due)
			left = due;
	}
	if (sw->has_retries && (left < 0 || left > RETRY))
		left = RETRY;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

int vn_switch_run(struct vn_switch *sw, int64_t duration)
{
	struct epoll_event events[EVENTS];
	const int64_t end = duration < 0 ? -1 : vn_now() + duration;
	int rc = 0;
	pthread_mutex_lock(&sw->mutex);
	if (sw->running || sw->forked) {
		pthread_mutex_unlock(&sw->mutex);
		return sw->forked ? -ECANCELED : -EBUSY;
	}
	sw->running = true;
	while (!take_stop(sw)) {
		if (__atomic_load_n(&sw->asking, __ATOMIC_SEQ_CST))
			pthread_cond_wait(&sw->turn, &sw->mutex);
		const int wait = patience(sw, end);
		pthread_mutex_unlock(&sw->mutex);
		const int count = epoll_wait(sw->epoll_fd, events, EVENTS, wait);
		rc = count < 0 ? -errno : 0;
		pthread_mutex_lock(&sw->mutex);
		if (count < 0)
			break;
		round_of(sw, events, count);
		if (end >= 0 && sw->now >= end)
			break;
	}
	sw->running = false;
	pthread_mutex_unlock(&sw->mutex);
	return rc;
}

void vn_switch_stop(struct vn_switch *sw)
{
	vn_stop_set(&sw->stop);
}

/* ---- its life ---- */

struct vn_switch *vn_switch_new(uint32_t age, uint32_t addresses)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP};
	struct vn_switch *sw = calloc(1, sizeof(*sw));
	if (!sw)
		return NULL;
	pthread_mutex_init(&sw->mutex, NULL);
	pthread_cond_init(&sw->turn, NULL);
	sw->used = 1;
	sw->due = INT64_MAX;
	sw->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	sw->cut = malloc(VN_CUT);
	sw->scratch = malloc(VN_LARGE + VN_VLAN + VN_VNET);
	const bool has_stop = vn_stop_make(&sw->stop);
	const int rc = vn_table_make(&sw->table, addresses, age);
	if (!rc && sw->cut && sw->scratch && sw->epoll_fd >= 0 && has_stop &&
	    !epoll_ctl(sw->epoll_fd, EPOLL_CTL_ADD, sw->stop.fd, &event))
		return sw;
	const int error = sw->epoll_fd < 0 || !has_stop ? EMFILE : ENOMEM;
	vn_switch_free(sw);
	errno = error;
	return NULL;
}

void vn_switch_free(struct vn_switch *sw)
{
	if (sw->forked) /* the parent's thread may have been in the middle of anything */
		return;
	for (uint32_t i = 0; i < sw->slots; i++)
		if (sw->places[i] && !sw->places[i]->host)
			vn_place_end(sw, sw->places[i]);
	vn_table_free(&sw->table);
	free(sw->cut);
	free(sw->scratch);
	if (sw->epoll_fd >= 0)
		close(sw->epoll_fd);
	if (sw->stop.fd >= 0)
		close(sw->stop.fd);
	pthread_cond_destroy(&sw->turn);
	pthread_mutex_destroy(&sw->mutex);
	free(sw);
}

void vn_switch_forked(struct vn_switch *sw)
{
	sw->forked = true;
	pthread_mutex_init(&sw->mutex, NULL); /* a thread that the fork does not have may have held it */
	pthread_cond_init(&sw->turn, NULL);
	sw->asking = 0;
	close(sw->epoll_fd);
	close(sw->stop.fd);
	sw->epoll_fd = sw->stop.fd = -1;
	for (uint32_t i = 0; i < sw->slots; i++) {
		struct vn_place *place = sw->places[i];
		if (place && place->port && (place->door || place->host)) {
			vn_port_forked(place->port);
			vn_port_close(place->port);
		}
	}
	sw->slots = sw->table.made = 0; /* whatever is asked of it, it has nothing */
}

/* ---- what others ask of it ---- */

int64_t vn_switch_add(struct vn_switch *sw, struct vn_port *port, const char *name,
		      const struct vn_switch_settings *settings)
{
	int64_t answer = -EEXIST;
	struct vn_place *place = NULL;
	enter(sw);
	if (!vn_place_is_named(sw, name)) {
		place = vn_place_make(sw, name, settings);
		answer = -EMFILE;
	}
	if (place) {
		const int rc = port->flags & VN_SWITCH ? vn_place_open_door(sw, place, port) : vn_place_plug(sw, place, port);
		answer = rc ? (int64_t)rc : (int64_t)place->id;
		if (rc)
			vn_place_end(sw, place);
	}
	leave(sw);
	return answer;
}

int vn_switch_remove(struct vn_switch *sw, uint32_t number)
{
	enter(sw);
	struct vn_place *place = vn_place_find(sw, number);
	if (place)
		vn_place_end(sw, place);
	leave(sw);
	return place ? 0 : -ENOENT;
}

int vn_switch_mirror(struct vn_switch *sw, uint32_t monitor, const uint32_t *numbers, int count)
{
	int rc = 0;
	enter(sw);
	struct vn_place *place = monitor ? vn_place_find(sw, monitor) : NULL;
	if (monitor && (!place || !place->plugged))
		rc = -ENOENT;
	for (int i = 0; i < count && !rc; i++)
		if (!vn_place_find(sw, numbers[i]) || numbers[i] == monitor)
			rc = -ENOENT;
	if (!rc) {
		sw->monitor = place;
		sw->mirrors_all = place && !count;
		for (uint32_t i = 0; i < sw->slots; i++)
			if (sw->places[i])
				sw->places[i]->mirrored = false;
		for (int i = 0; i < count; i++)
			vn_place_find(sw, numbers[i])->mirrored = true;
		for (uint32_t i = 0; i < sw->slots; i++)
			if (sw->places[i] && sw->places[i]->host)
				sw->places[i]->mirrored |= sw->places[i]->host->mirrored;
		if (place)
			vn_table_forget(&sw->table, &place->owner);
		vn_place_gather(sw);
	}
	leave(sw);
	return rc;
}

int vn_switch_impair(struct vn_switch *sw, uint32_t number, const struct vn_impairment *impairment)
{
	int rc = -ENOENT;
	enter(sw);
	for (uint32_t i = 0; i < sw->slots; i++) {
		struct vn_place *place = sw->places[i];
		if (!place || (place->id != number && (!place->host || place->host->id != number)))
			continue;
		struct vn_spoil *made = impairment ? vn_spoil_make(impairment) : NULL;
		if (impairment && !made) {
			rc = -ENOMEM;
			break;
		}
		if (place->spoil && place->plugged) { /* what waits goes out now */
			vn_spoil_release(place, INT64_MAX);
			if (place->queue.frames && !place->waits)
				vn_drain_queue(sw, place);
		}
		vn_spoil_free(place->spoil);
		place->spoil = made;
		rc = 0;
	}
	sw->spoils = 0;
	for (uint32_t i = 0; i < sw->slots; i++)
		sw->spoils += sw->places[i] && sw->places[i]->spoil;
	leave(sw);
	return rc;
}

int vn_switch_record(struct vn_switch *sw, uint32_t number, struct vn_recorder *recorder)
{
	int rc = number ? -ENOENT : 0;
	enter(sw);
	for (uint32_t i = 0; i < sw->slots; i++) {
		struct vn_place *place = sw->places[i];
		if (!place || (number && place->id != number && (!place->host || place->host->id != number)))
			continue;
		place->recorder = recorder;
		rc = place->port ? vn_recorder_add(recorder, place->port, place->name, "a port of a switch") : 0;
		if (rc)
			break;
	}
	leave(sw);
	return rc;
}

void vn_switch_end_record(struct vn_switch *sw, struct vn_recorder *recorder)
{
	enter(sw);
	for (uint32_t i = 0; i < sw->slots; i++) {
		struct vn_place *place = sw->places[i];
		if (place && place->recorder == recorder)
			place->recorder = NULL;
		if (place && place->port && place->port->recorder == recorder)
			vn_recorder_remove(recorder, place->port);
	}
	leave(sw);
}

int vn_switch_list(struct vn_switch *sw, struct vn_switch_port *out, int room)
{
	int count = 0;
	enter(sw);
	for (uint32_t i = 0; i < sw->slots; i++) {
		const struct vn_place *place = sw->places[i];
		if (!place)
			continue;
		if (count < room) {
			struct vn_switch_port *port = &out[count];
			*port = (struct vn_switch_port){
				.number = place->id,
				.listener = place->host ? place->host->id : 0,
				.addresses = place->owner.count,
				.error = place->error,
				.connected = place->plugged,
				.listens = place->door != NULL,
				.monitor = sw->monitor == place,
			};
			memcpy(port->name, place->name, sizeof(port->name));
		}
		count++;
	}
	leave(sw);
	return count;
}

int vn_switch_table(struct vn_switch *sw, struct vn_switch_address *out, int room)
{
	int count = 0;
	enter(sw);
	const uint32_t now = (uint32_t)(vn_now() / MILLISECOND);
	for (uint32_t i = 1; i <= sw->table.made; i++) {
		const struct vn_address *entry = &sw->table.entries[i];
		if (!entry->key || now - entry->seen > sw->table.age)
			continue;
		if (count < room) {
			out[count].number = ((const struct vn_place *)entry->owner)->id;
			out[count].idle = now - entry->seen;
			memcpy(out[count].address, &entry->key, sizeof(out[count].address));
		}
		count++;
	}
	leave(sw);
	return count;
}

int vn_switch_counters(struct vn_switch *sw, uint32_t number, uint64_t *own, uint64_t *ports)
{
	enter(sw);
	const struct vn_place *place = vn_place_find(sw, number);
	if (place) {
		memcpy(own, place->counters, sizeof(place->counters));
		memcpy(ports, place->past, sizeof(place->past));
		for (int i = 0; i < VN_COUNTERS && place->port; i++)
			ports[i] += vn_port_counter(place->port, i);
	}
	leave(sw);
	return place ? 0 : -ENOENT;
}
