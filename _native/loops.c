/* Loops that need no Python: generate, drain, reflect, forward.
 *
 * The generator prepares SLOTS numbered frames, of which it then patches number and length alone; see numbered.c.
 * The drain remembers which of the last SEEN numbers came, and so tells a double from a latecomer.
 */
#include "internal.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define SLOTS VN_NUMBERED_SLOTS /* frames that the generator prepares, and most that a loop moves at once */
#define SEEN 65536u          /* numbers that a drain remembers */
#define NAP 50000            /* nanoseconds between two looks at a window that is full */
#define SECOND INT64_C(1000000000)

struct vn_loop *vn_loop_new(void)
{
	struct vn_loop *loop = calloc(1, sizeof(*loop));
	if (loop && vn_stop_make(&loop->stop))
		return loop;
	free(loop);
	return NULL;
}

void vn_loop_free(struct vn_loop *loop)
{
	close(loop->stop.fd);
	free(loop->moments);
	free(loop);
}

void vn_loop_stop(struct vn_loop *loop)
{
	vn_stop_set(&loop->stop);
}

void vn_loop_forked(struct vn_loop *loop)
{
	close(loop->stop.fd);
	vn_stop_make(&loop->stop);
}

uint64_t vn_loop_counter(const struct vn_loop *loop, int counter)
{
	return counter >= 0 && counter < VN_LOOP_COUNTERS ? __atomic_load_n(&loop->counters[counter], __ATOMIC_RELAXED) : 0;
}

static void set(struct vn_loop *loop, enum vn_loop_counter counter, uint64_t value)
{
	__atomic_store_n(&loop->counters[counter], value, __ATOMIC_RELAXED);
}

static void add(struct vn_loop *loop, enum vn_loop_counter counter, uint64_t more)
{
	set(loop, counter, vn_loop_counter(loop, counter) + more);
}

/* ---- when frames passed ---- */

int vn_loop_clock(struct vn_loop *loop, uint64_t every, uint32_t kept)
{
	if (!every || !kept || loop->moments)
		return -EINVAL;
	loop->moments = calloc(kept, sizeof(*loop->moments));
	if (!loop->moments)
		return -ENOMEM;
	loop->every = every;
	loop->kept = kept;
	return 0;
}

const int64_t *vn_loop_moments(const struct vn_loop *loop)
{
	return loop->moments;
}

static void mark(struct vn_loop *loop, uint64_t number, int64_t now)
{
	if (loop->every && number % loop->every == 0 && number / loop->every < loop->kept)
		loop->moments[number / loop->every] = now;
}

/* The moment that a batch's frames have in common; without a clock nobody asks for it. */
static int64_t moment(const struct vn_loop *loop)
{
	return loop->every ? vn_now() : 0;
}

/* ---- when a loop ends ---- */

struct run {
	struct vn_loop *loop;
	uint64_t count;   /* frames at most */
	int64_t end;      /* on vn_now's clock, or negative */
};

static struct run start(struct vn_loop *loop, const struct vn_limit *limit)
{
	return (struct run){
		.loop = loop,
		.count = limit->count ? limit->count : UINT64_MAX,
		.end = limit->duration < 0 ? -1 : vn_now() + limit->duration,
	};
}

/* How many frames may be moved at once, 0 where the loop is at its end. */
static int next_batch(const struct run *run)
{
	const uint64_t rest = run->count - run->loop->counters[VN_LOOP_FRAMES];
	if (vn_is_stopped(&run->loop->stop) || (run->end >= 0 && vn_now() >= run->end))
		return 0;
	return (int)(rest < SLOTS ? rest : SLOTS);
}

/* Nanoseconds that may be waited, negative for ever. */
static int64_t left(const struct run *run)
{
	const int64_t rest = run->end - vn_now();
	return run->end < 0 ? -1 : rest < 0 ? 0 : rest;
}

/* What a loop returns after a call that went wrong: being stopped, or out of time, is no error. */
static int outcome(const struct run *run, const struct vn_port *port, const struct vn_port *other, int error)
{
	if (vn_is_stopped(&port->stop) || (other && vn_is_stopped(&other->stop)))
		return -ECANCELED;
	return error == -ECANCELED && vn_is_stopped(&run->loop->stop) ? 0 : error;
}

/* Receive at most `most` frames, and wait where none is there. Returns how many, which may be none, or -errno. */
static int take(const struct run *run, struct vn_port *port, struct vn_frame *frames, int most, bool whole,
		const struct vn_port *other)
{
	if (vn_is_stopped(&port->stop) || (other && vn_is_stopped(&other->stop)))
		return -ECANCELED;
	int got = vn_receive(port, frames, most, whole);
	if (got != -EAGAIN)
		return got;
	got = vn_wait(port, POLLIN, left(run), run->loop, other);
	return got < 0 && got != -EINTR ? got : 0;
}

/* Send all frames, or as many as can be until the end of the loop. */
static int give(const struct run *run, struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count,
		bool whole, const struct vn_port *other)
{
	return vn_transmit_all(port, base, frames, count, whole, run->end, run->loop, other);
}

/* ---- generate ---- */

static uint32_t size_of(const struct vn_pattern *pattern, uint64_t number)
{
	const uint32_t range = pattern->largest - pattern->smallest + 1;
	return pattern->smallest + (uint32_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32) % range; /* Knuth's, spread out */
}

static uint8_t *prepare(const struct vn_pattern *pattern)
{
	struct vn_label label = pattern->label;
	uint8_t *slots = malloc((size_t)SLOTS * pattern->largest);
	for (label.number = 0; slots && label.number < SLOTS; label.number++)
		vn_numbered_make(&label, slots + label.number * pattern->largest, pattern->largest);
	return slots;
}

/* How many of `most` frames are due, by the rate and the window. */
static int due(const struct vn_pattern *pattern, const struct vn_loop *followed, uint64_t number, int64_t began, int most)
{
	uint64_t may = (uint64_t)most;
	if (pattern->rate) {
		double passed = (double)(vn_now() - began) / (double)SECOND * (double)pattern->rate + 1;
		uint64_t ought = passed < (double)UINT64_MAX ? (uint64_t)passed : UINT64_MAX;
		may = ought <= number ? 0 : ought - number < may ? ought - number : may;
	}
	if (followed) {
		uint64_t ahead = number - vn_loop_counter(followed, VN_LOOP_NEXT);
		may = ahead >= pattern->window ? 0 : pattern->window - ahead < may ? pattern->window - ahead : may;
	}
	return (int)may;
}

int vn_generate(struct vn_loop *loop, struct vn_port *port, const struct vn_limit *limit,
		const struct vn_pattern *pattern, const struct vn_loop *followed)
{
	const struct run run = start(loop, limit);
	const int64_t began = vn_now();
	struct vn_frame frames[SLOTS];
	uint64_t number = 0;
	int rc = 0, most;

	if (pattern->smallest < VN_NUMBERED_HEADER || pattern->largest < pattern->smallest || pattern->largest > VN_LARGE ||
	    (followed && !pattern->window))
		return -EINVAL;
	uint8_t *slots = prepare(pattern);
	if (!slots)
		return -ENOMEM;
	while ((most = next_batch(&run)) > 0) {
		const int count = due(pattern, followed, number, began, most);
		if (!count) {
			rc = vn_wait(port, 0, NAP, loop, NULL);
			if (rc < 0 && rc != -EINTR)
				break;
			continue;
		}
		const int64_t now = moment(loop);
		for (int i = 0; i < count; i++) {
			const uint64_t this = number + (uint64_t)i;
			const uint32_t offset = (uint32_t)(this % SLOTS) * pattern->largest;
			frames[i] = (struct vn_frame){offset, size_of(pattern, this)};
			vn_numbered_renumber(slots + offset, this, frames[i].length);
			mark(loop, this, now); /* anew for what is not taken and comes again */
		}
		rc = give(&run, port, slots, frames, count, false, NULL);
		if (rc < 0)
			break;
		for (int i = 0; i < rc; i++)
			add(loop, VN_LOOP_BYTES, frames[i].length);
		number += (uint64_t)rc;
		set(loop, VN_LOOP_FRAMES, number);
		set(loop, VN_LOOP_NEXT, number);
	}
	free(slots);
	return outcome(&run, port, NULL, rc < 0 ? rc : 0);
}

/* ---- drain ---- */

static bool *seen_at(bool *seen, uint64_t number)
{
	return &seen[number % SEEN];
}

/* Put a number in its place among those that came. Returns whether it came for the first time. */
static bool place(struct vn_loop *loop, bool *seen, uint64_t number)
{
	const uint64_t next = loop->counters[VN_LOOP_NEXT];
	if (number >= next) {
		const uint64_t gap = number - next;
		if (gap >= SEEN)
			memset(seen, 0, SEEN);
		else
			for (uint64_t i = next; i < number; i++)
				*seen_at(seen, i) = false;
		if (gap)
			add(loop, VN_LOOP_LOST, gap);
		*seen_at(seen, number) = true;
		set(loop, VN_LOOP_NEXT, number + 1);
		return true;
	}
	if (next - number > SEEN) { /* too late to tell whether it came before */
		add(loop, VN_LOOP_REORDERED, 1);
		return false;
	}
	if (*seen_at(seen, number)) {
		add(loop, VN_LOOP_DOUBLED, 1);
		return false;
	}
	*seen_at(seen, number) = true;
	add(loop, VN_LOOP_REORDERED, 1);
	set(loop, VN_LOOP_LOST, loop->counters[VN_LOOP_LOST] - 1);
	return true;
}

int vn_drain(struct vn_loop *loop, struct vn_port *port, const struct vn_limit *limit, uint32_t stream)
{
	const struct run run = start(loop, limit);
	struct vn_frame frames[SLOTS];
	int rc = 0, most;
	bool *seen = calloc(SEEN, sizeof(*seen));

	if (!seen)
		return -ENOMEM;
	while ((most = next_batch(&run)) > 0) {
		uint64_t bytes = 0, taken = 0;
		rc = take(&run, port, frames, most, false, NULL);
		if (rc < 0)
			break;
		const int64_t now = moment(loop);
		for (int i = 0; i < rc; i++) {
			struct vn_label label;
			const int kind = vn_numbered_judge(port->memory + frames[i].offset, frames[i].length, &label);
			if (kind == VN_NUMBERED_FOREIGN || label.stream != stream) {
				add(loop, VN_LOOP_FOREIGN, 1);
			} else if (kind == VN_NUMBERED_CHANGED) {
				add(loop, VN_LOOP_CHANGED, 1);
			} else if (place(loop, seen, label.number)) {
				bytes += frames[i].length;
				taken++;
				mark(loop, label.number, now);
			}
		}
		add(loop, VN_LOOP_BYTES, bytes);
		add(loop, VN_LOOP_FRAMES, taken);
	}
	free(seen);
	return outcome(&run, port, NULL, rc < 0 ? rc : 0);
}

/* ---- reflect, forward ---- */

static void swap_addresses(uint8_t *frame)
{
	uint8_t target[6];
	memcpy(target, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, target, 6);
}

/* Move frames from one port to another, or back to the same. */
static int move(struct vn_loop *loop, struct vn_port *from, struct vn_port *to, const struct vn_limit *limit, bool swap)
{
	const struct run run = start(loop, limit);
	const bool whole = from->transport.vnet && to->transport.vnet;
	const uint32_t header = whole ? VN_VNET : 0;
	struct vn_frame frames[SLOTS];
	int rc = 0, most;

	while ((most = next_batch(&run)) > 0) {
		uint64_t bytes = 0;
		rc = take(&run, from, frames, most, whole, to);
		if (rc < 0)
			break;
		for (int i = 0; i < rc && swap; i++)
			if (frames[i].length >= header + 12)
				swap_addresses(from->memory + frames[i].offset + header);
		rc = give(&run, to, from->memory, frames, rc, whole, from);
		if (rc < 0)
			break;
		for (int i = 0; i < rc; i++)
			bytes += frames[i].length - header;
		add(loop, VN_LOOP_BYTES, bytes);
		add(loop, VN_LOOP_FRAMES, (uint64_t)rc);
	}
	return outcome(&run, from, to, rc < 0 ? rc : 0);
}

int vn_reflect(struct vn_loop *loop, struct vn_port *port, const struct vn_limit *limit)
{
	return move(loop, port, port, limit, true);
}

int vn_forward(struct vn_loop *loop, struct vn_port *from, struct vn_port *to, const struct vn_limit *limit)
{
	return move(loop, from, to, limit, false);
}
