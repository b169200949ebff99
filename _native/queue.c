/* Frames that wait until a full port takes more: a ring of bytes, made when it is first needed.
 *
 *     | length, whole | frame, padded to 4 bytes | length, whole | frame … | 0: the next one is at the start |
 *
 * A frame lies in one piece, so that it can be sent from where it lies. What does not fit is not taken.
 */
#include "switch.h"

#include <stdlib.h>

#define SIZE (1u << 20)          /* bytes: 690 frames of 1500, or 15 large ones */
#define WORD 4u

static uint32_t room_for(uint32_t length)
{
	return WORD + ((length + WORD - 1) & ~(WORD - 1));
}

static uint32_t get(const struct vn_queue *queue, uint32_t at)
{
	uint32_t word;
	memcpy(&word, queue->memory + at, WORD);
	return word;
}

static void put(struct vn_queue *queue, uint32_t at, uint32_t word)
{
	memcpy(queue->memory + at, &word, WORD);
}

/* Where the entry after `at` begins, past the end of the memory where one was left free there. */
static uint32_t settled(const struct vn_queue *queue, uint32_t at)
{
	return at == SIZE || get(queue, at) == 0 ? 0 : at;
}

/* Returns whether there was room. */
bool vn_queue_put(struct vn_queue *queue, const uint8_t *frame, uint32_t length, bool whole)
{
	const uint32_t needs = room_for(length), end = SIZE - queue->tail;
	uint32_t skipped = 0;
	if (!queue->memory && !(queue->memory = malloc(SIZE)))
		return false;
	if (!queue->frames)
		queue->head = queue->tail = queue->used = 0;
	else if (needs > end)
		skipped = end;
	if (queue->used + skipped + needs > SIZE)
		return false;
	if (skipped || queue->tail == SIZE) {
		if (skipped)
			put(queue, queue->tail, 0);
		queue->tail = 0;
	}
	put(queue, queue->tail, length << 1 | whole);
	memcpy(queue->memory + queue->tail + WORD, frame, length);
	queue->tail += needs;
	queue->used += skipped + needs;
	queue->frames++;
	return true;
}

/* The frames at the front, at most `most`, that are whole or not alike: their places in the queue's memory. */
int vn_queue_peek(const struct vn_queue *queue, struct vn_frame *frames, int most, bool *whole)
{
	uint32_t at = queue->head;
	int count = 0;
	for (; count < most && (uint32_t)count < queue->frames; count++) {
		at = settled(queue, at);
		const uint32_t word = get(queue, at);
		if (count && *whole != (word & 1))
			break;
		*whole = word & 1;
		frames[count] = (struct vn_frame){at + WORD, word >> 1};
		at += room_for(word >> 1);
	}
	return count;
}

void vn_queue_drop(struct vn_queue *queue, int count)
{
	for (; count; count--) {
		const uint32_t at = settled(queue, queue->head);
		if (at != queue->head) /* the rest of the memory goes with the frame before which it was left free */
			queue->used -= SIZE - queue->head;
		queue->head = at + room_for(get(queue, at) >> 1);
		queue->used -= queue->head - at;
		queue->frames--;
	}
}

void vn_queue_free(struct vn_queue *queue)
{
	free(queue->memory);
	*queue = (struct vn_queue){0};
}
