/* What the files of the switch share: switch.c, places.c, sorting.c, addresses.c, queue.c, spoil.c. */
#ifndef VECNET_SWITCH_H
#define VECNET_SWITCH_H

#include "internal.h"

/* ---- addresses.c ---- */

/* A port's addresses, in the order in which they were learnt. */
struct vn_owner {
	struct vn_owner *next;       /* of the same table */
	uint32_t oldest, newest;     /* entries, 0 for none */
	uint32_t count, most;
};

struct vn_address {
	uint64_t key;                /* the six bytes as a little-endian number; 0 where the entry is free */
	struct vn_owner *owner;
	uint32_t seen;               /* milliseconds: when it sent last */
	uint32_t chain;              /* the next entry of the same bucket, or the next free one */
	uint32_t older, newer;       /* of the same owner */
	uint32_t again;              /* it has sent since it was learnt, or since it was last spared */
};

struct vn_table {
	struct vn_address *entries;  /* the first one stays unused: 0 is none */
	uint32_t *buckets;
	struct vn_owner *owners, *greedy;
	uint64_t seed;
	uint32_t most, used, made, free, shift, age, hand;
};

enum vn_learnt { VN_LEARNT_KNOWN, VN_LEARNT_NEW, VN_LEARNT_MOVED };

int vn_table_make(struct vn_table *table, uint32_t most, uint32_t age);
void vn_table_free(struct vn_table *table);
void vn_table_join(struct vn_table *table, struct vn_owner *owner, uint32_t most);
void vn_table_leave(struct vn_table *table, struct vn_owner *owner);
void vn_table_forget(struct vn_table *table, struct vn_owner *owner);
struct vn_address *vn_table_find(const struct vn_table *table, uint64_t key, uint32_t now);
enum vn_learnt vn_table_learn(struct vn_table *table, struct vn_owner *owner, uint64_t key, uint32_t now,
			      struct vn_address **learnt, bool *crowded);
void vn_table_sweep(struct vn_table *table, uint32_t now);

/* ---- queue.c ---- */

/* Frames that wait, one after another, each behind a word with its length. */
struct vn_queue {
	uint8_t *memory;             /* made when it is first needed */
	uint32_t head, tail, used;   /* bytes */
	uint32_t frames;
};

bool vn_queue_put(struct vn_queue *queue, const uint8_t *frame, uint32_t length, bool whole);
int vn_queue_peek(const struct vn_queue *queue, struct vn_frame *frames, int most, bool *whole);
void vn_queue_drop(struct vn_queue *queue, int count);
void vn_queue_free(struct vn_queue *queue);

/* ---- the switch ---- */

#define VN_WAITING 4096              /* frames and copies of frames that are sorted before they are sent */

/* A frame, or a copy of one, for a port: it lies where it was received. */
struct vn_item {
	uint8_t *frame;              /* its virtio-net header, where it has one */
	uint32_t length, next;       /* bytes, and the next one for the same port, 0 for none */
	enum vn_shape { VN_PLAIN, VN_WHOLE, VN_TO_CUT } shape;
};

/* A port of the switch. `port` comes and goes with a guest; the rest stays for the next one. */
struct vn_place {
	struct vn_owner owner;       /* its addresses; the first member, for the table knows no more */
	struct vn_port *port;        /* NULL where no guest is connected */
	struct vn_port *door;        /* where guests are accepted: the one that becomes `port`, or many, with places of their own */
	struct vn_place *host;       /* of such a place: that of the door */
	struct vn_switch_settings settings;
	char name[VN_SWITCH_NAME];
	uint32_t id, slot, number;   /* number: among the guests of its host, from 1 */
	int error;                   /* why its wire is gone, or 0 */
	bool plugged;                /* frames come and go */
	bool mirrored, is_lost, is_shut; /* is_shut: its door, which cannot let anybody in for now */
	int waiting;                 /* the guest who could not be let in then; 0 for none */
	bool waits, retries;         /* for room, of which no event tells: then it is tried again */
	struct vn_address *sender, *receiver; /* of the frame before; they may be free, or another's, by now */
	uint32_t first, last;        /* what is to be sent to it: items, 0 for none */
	struct vn_queue queue;
	struct vn_spoil *spoil;      /* what its frames suffer; NULL for nothing */
	int64_t storm_at;            /* when storm_left was filled up last */
	double storm_left;           /* frames that may still be flooded */
	struct vn_recorder *recorder;
	uint64_t counters[VN_SWITCH_COUNTERS];
	uint64_t past[VN_COUNTERS];  /* of guests that are gone */
};

struct vn_switch {
	pthread_mutex_t mutex;       /* held by whoever looks at anything below */
	pthread_cond_t turn;
	int asking;                  /* threads that wait for their turn; counted without the mutex */
	bool running, forked;
	int epoll_fd;
	struct vn_stop stop;
	uint32_t ids;
	int64_t now;                 /* nanoseconds, as of this round */
	uint32_t time, swept;        /* the same in milliseconds, and when addresses were looked through last */
	struct vn_table table;
	struct vn_place *places[VN_SWITCH_PORTS];
	uint32_t slots;              /* places that have ever been used: all others are empty */
	struct vn_place *live[VN_SWITCH_PORTS]; /* those that frames may be sent to, without the monitor */
	uint32_t lives;
	struct vn_place *monitor;    /* gets a copy of what mirrored places have; NULL for none */
	bool mirrors_all, has_losses, has_retries;
	uint32_t spoils;             /* places that have one */
	int64_t due;                 /* when the first frame that is delayed is to go; INT64_MAX for none */
	/* the round */
	struct vn_place *active[VN_SWITCH_PORTS]; /* those that items are waiting for */
	uint32_t actives, used;      /* items in use, the first one stays unused: 0 is none */
	struct vn_item items[VN_WAITING];
	uint8_t *cut, *scratch;      /* segments; a large frame that is written over while it is cut */
};

static inline void vn_place_count(struct vn_place *place, enum vn_switch_counter counter, uint64_t more)
{
	uint64_t value = __atomic_load_n(&place->counters[counter], __ATOMIC_RELAXED);
	__atomic_store_n(&place->counters[counter], value + more, __ATOMIC_RELAXED);
}

/* spoil.c */
struct vn_spoil *vn_spoil_make(const struct vn_impairment *plan);
struct vn_spoil *vn_spoil_like(const struct vn_spoil *other);
uint32_t vn_spoil_empty(struct vn_spoil *spoil);
void vn_spoil_free(struct vn_spoil *spoil);
void vn_spoil_take(struct vn_place *out, const uint8_t *frame, uint32_t length, int64_t now);
int64_t vn_spoil_release(struct vn_place *out, int64_t now);

/* sorting.c */
int vn_sort(struct vn_switch *sw, struct vn_place *in);
void vn_flush(struct vn_switch *sw);
void vn_drain_queue(struct vn_switch *sw, struct vn_place *out);

/* places.c */
struct vn_place *vn_place_of(const struct vn_switch *sw, uint64_t event, bool *door);
struct vn_place *vn_place_make(struct vn_switch *sw, const char *name, const struct vn_switch_settings *settings);
struct vn_place *vn_place_find(const struct vn_switch *sw, uint32_t number);
bool vn_place_is_named(const struct vn_switch *sw, const char *name);
int vn_place_plug(struct vn_switch *sw, struct vn_place *place, struct vn_port *port);
int vn_place_open_door(struct vn_switch *sw, struct vn_place *place, struct vn_port *port);
void vn_place_accept(struct vn_switch *sw, struct vn_place *host);
void vn_place_unplug(struct vn_switch *sw, struct vn_place *place);
void vn_place_end(struct vn_switch *sw, struct vn_place *place);
void vn_place_gather(struct vn_switch *sw);
void vn_place_lose(struct vn_switch *sw, struct vn_place *place, int error);
void vn_place_wait(struct vn_switch *sw, struct vn_place *place, bool wait);

#endif
