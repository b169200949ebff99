/* Measuring what a frame costs on its way through a switch, which runs in the measuring thread only while it is timed. */
#include "../switch.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

#define PATIENCE 200          /* milliseconds for a frame that is on its way */

static int64_t read_clock(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int feed(struct vn_port *port, const uint8_t *frames, const struct vn_bench_load *load)
{
	struct vn_frame places[64];
	for (int done = 0; done < load->count;) {
		const int count = load->count - done < 64 ? load->count - done : 64;
		for (int i = 0; i < count; i++)
			places[i] = (struct vn_frame){(uint32_t)(done + i) * load->length, load->length};
		const int sent = vn_transmit(port, frames, places, count, false);
		if (sent <= 0)
			return sent ? sent : -ENOBUFS;
		done += sent;
	}
	return 0;
}

static bool has_events(int fd, int timeout)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	return poll(&one, 1, timeout) > 0;
}

/* Take in what is there. Returns how many frames. */
static uint64_t empty(struct vn_port *port)
{
	struct vn_frame frames[64];
	uint64_t count = 0;
	for (int got; (got = vn_receive(port, frames, 64, false)) >= 0;)
		count += (uint64_t)got;
	return count;
}

/* The time of what is between: of the switch, or of a loop that forwards as many frames. */
static int move(const struct vn_bench_middle *middle, int fed, uint64_t frames, struct vn_bench_cost *spent)
{
	const struct vn_limit limit = {frames, -1};
	struct vn_loop *loop = middle->sw ? NULL : vn_loop_new();
	int rc = middle->sw || loop ? 0 : -EMFILE;
	const int64_t processor = read_clock(CLOCK_THREAD_CPUTIME_ID), wall = read_clock(CLOCK_MONOTONIC);
	if (loop)
		rc = vn_forward(loop, middle->ports[fed], middle->ports[!fed], &limit);
	else
		do
			rc = rc ? rc : vn_switch_run(middle->sw, 0);
		while (!rc && has_events(middle->sw->epoll_fd, 0));
	spent->wall += read_clock(CLOCK_MONOTONIC) - wall;
	spent->processor += read_clock(CLOCK_THREAD_CPUTIME_ID) - processor;
	if (loop)
		vn_loop_free(loop);
	return rc;
}

int vn_bench_switch(const struct vn_bench_middle *middle, struct vn_port *const *ends, const uint8_t *const *frames,
		    int count, int at_once, const struct vn_bench_load *load, struct vn_bench_cost *spent)
{
	const uint64_t wanted = (uint64_t)at_once * (uint64_t)load->count;
	int rc = 0, next = 0;
	*spent = (struct vn_bench_cost){0, 0};
	for (int round = 0; !rc && round < load->rounds; round++) {
		uint64_t got = 0;
		for (int i = 0; !rc && i < at_once; i++, next = (next + 1) % count)
			rc = feed(ends[next], frames[next], load);
		rc = rc ? rc : move(middle, (next + count - 1) % count, wanted, spent);
		for (int tries = 0; !rc && got < wanted; tries++) {
			for (int i = 0; i < count; i++)
				got += empty(ends[i]);
			if (got < wanted && (tries || !has_events(ends[0]->wait_fd, PATIENCE)))
				rc = -ETIMEDOUT;
		}
	}
	return rc;
}
