/* A port of the switch whose outgoing frames suffer: lost, doubled, corrupted, late, overtaken, slowed down.
 *
 * Reference: tc-netem(8). What vecnet/datapath/impaired.py does to a simulated guest's frames is done here to all.
 *
 * Frames wait in a heap until they are due, at most LIMIT of them; more are lost. A round of the switch lets out what is due,
 * so a frame may be late by another millisecond. Every frame makes the same number of choices, so that one impairment does
 * not move another's; and they follow from the seed alone.
 */
#include "switch.h"

#include <stdlib.h>

#define LIMIT 1000               /* frames that wait at the most, as netem's limit */
#define SECOND 1e9

struct waiting {
	int64_t due;
	uint64_t order;          /* of two that are due at one time the older one goes first */
	uint8_t *frame;
	uint32_t length;
};

struct vn_spoil {
	struct vn_impairment plan;
	uint64_t random, order;
	int64_t free_at;         /* when the wire has sent all that was accepted, where it has a rate */
	int64_t last_due;
	uint32_t count;
	struct waiting heap[LIMIT];
};

struct vn_spoil *vn_spoil_make(const struct vn_impairment *plan)
{
	struct vn_spoil *spoil = calloc(1, sizeof(*spoil));
	if (spoil) {
		spoil->plan = *plan;
		spoil->random = plan->seed;
	}
	return spoil;
}

struct vn_spoil *vn_spoil_like(const struct vn_spoil *other)
{
	return other ? vn_spoil_make(&other->plan) : NULL;
}

/* Let go of what waits. Returns how many frames that was. */
uint32_t vn_spoil_empty(struct vn_spoil *spoil)
{
	const uint32_t count = spoil->count;
	while (spoil->count)
		free(spoil->heap[--spoil->count].frame);
	spoil->free_at = spoil->last_due = 0;
	return count;
}

void vn_spoil_free(struct vn_spoil *spoil)
{
	if (spoil)
		vn_spoil_empty(spoil);
	free(spoil);
}

/* A number from 0 up to 1: splitmix64, of Steele, Lea and Flood, 2014. */
static double choose(struct vn_spoil *spoil)
{
	uint64_t z = spoil->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* ---- the heap: whatever is due first is at its top ---- */

static bool is_before(const struct waiting *one, const struct waiting *other)
{
	return one->due != other->due ? one->due < other->due : one->order < other->order;
}

static void push(struct vn_spoil *spoil, struct waiting new)
{
	uint32_t at = spoil->count++;
	while (at && is_before(&new, &spoil->heap[(at - 1) / 2])) {
		spoil->heap[at] = spoil->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	spoil->heap[at] = new;
}

static struct waiting pop(struct vn_spoil *spoil)
{
	const struct waiting top = spoil->heap[0], last = spoil->heap[--spoil->count];
	uint32_t at = 0;
	for (uint32_t below; (below = 2 * at + 1) < spoil->count; at = below) {
		if (below + 1 < spoil->count && is_before(&spoil->heap[below + 1], &spoil->heap[below]))
			below++;
		if (!is_before(&spoil->heap[below], &last))
			break;
		spoil->heap[at] = spoil->heap[below];
	}
	spoil->heap[at] = last;
	return top;
}

/* ---- frames ---- */

/* A copy of a frame, with a bit changed where that is not negative; NULL where there is no room for one more. */
static uint8_t *copied(const struct vn_spoil *spoil, const uint8_t *frame, uint32_t length, int64_t bit)
{
	uint8_t *copy = spoil->count < LIMIT ? malloc(length) : NULL;
	if (!copy)
		return NULL;
	memcpy(copy, frame, length);
	if (bit >= 0)
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
	return copy;
}

/* A frame, without virtio-net header, goes its way, or what is left of it. */
void vn_spoil_take(struct vn_place *out, const uint8_t *frame, uint32_t length, int64_t now)
{
	struct vn_spoil *spoil = out->spoil;
	const struct vn_impairment *plan = &spoil->plan;
	const double lost = choose(spoil), doubled = choose(spoil), corrupted = choose(spoil);
	const double overtakes = choose(spoil), shift = choose(spoil), bit = choose(spoil);
	if (lost < plan->loss) {
		vn_place_count(out, VN_SWITCH_DROP_IMPAIRED, 1);
		return;
	}
	const bool twice = doubled < plan->duplicate;
	const int64_t changed = corrupted < plan->corrupt ? (int64_t)(bit * length * 8) : -1;
	vn_place_count(out, VN_SWITCH_DOUBLED, twice);
	vn_place_count(out, VN_SWITCH_CORRUPTED, changed >= 0);
	for (int copy = 0; copy <= twice; copy++) {
		int64_t due = now;
		uint8_t *waits = copied(spoil, frame, length, changed);
		if (!waits) { /* and takes no time of the wire */
			vn_place_count(out, VN_SWITCH_DROP_IMPAIRED, 1);
			continue;
		}
		if (plan->rate > 0) {
			spoil->free_at = (spoil->free_at > now ? spoil->free_at : now) + (int64_t)(length * 8 / plan->rate * SECOND);
			due = spoil->free_at;
		}
		if (overtakes < plan->reorder) {
			vn_place_count(out, VN_SWITCH_OVERTAKING, 1);
		} else {
			due += plan->delay + (int64_t)((double)plan->jitter * (2 * shift - 1));
			due = spoil->last_due = due > spoil->last_due ? due : spoil->last_due;
		}
		push(spoil, (struct waiting){due, spoil->order++, waits, length});
	}
}

/* Let what is due go to the port's queue, as far as that has room. Returns when the next frame is due; INT64_MAX: none is. */
int64_t vn_spoil_release(struct vn_place *out, int64_t now)
{
	struct vn_spoil *spoil = out->spoil;
	while (spoil->count && spoil->heap[0].due <= now) {
		const struct waiting one = pop(spoil);
		const bool fits = vn_queue_put(&out->queue, one.frame, one.length, false);
		vn_place_count(out, fits ? VN_SWITCH_QUEUED : VN_SWITCH_DROP_FULL, 1);
		free(one.frame);
	}
	return spoil->count ? spoil->heap[0].due : INT64_MAX;
}
