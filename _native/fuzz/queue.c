/* Frames of any length into a queue and out of it, in any order: each comes out as it went in, and none is lost.
 *
 *     | 3 bytes a step: into the queue: whole, length × 257 / 4; or out of it: how many |
 */
#include "../switch.h"
#include "fuzz.h"

#define FRAMES 65536
#define SIZE (1u << 20)
#define GAP (VN_LARGE + 2000u * 8)      /* bytes that may be lost: what is left at the end, and words and padding */

static struct { uint32_t length; bool whole; uint8_t content; } held[FRAMES];

static void compare(const struct vn_queue *queue, const struct vn_frame *frames, int count, bool whole, uint32_t first)
{
	for (int i = 0; i < count; i++) {
		const uint8_t *frame = queue->memory + frames[i].offset;
		require(frames[i].offset + frames[i].length <= SIZE);
		require(frames[i].length == held[first + (uint32_t)i].length && whole == held[first + (uint32_t)i].whole);
		require(frame[0] == held[first + (uint32_t)i].content && !memcmp(frame, frame + 1, frames[i].length - 1));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[VN_LARGE + VN_VNET];
	struct vn_queue queue = {0};
	struct vn_frame frames[128];
	uint32_t first = 0, last = 0, bytes = 0;
	for (; size >= 3; data += 3, size -= 3) {
		const uint32_t length = 1 + (data[1] << 8 | data[2]) % (data[0] & 2 ? VN_LARGE : 1514);
		const bool whole = data[0] & 1;
		if ((data[0] & 12) == 12) {
			bool same = false;
			const int most = 1 + data[1] % 128, count = vn_queue_peek(&queue, frames, most, &same);
			require((count == 0) == (first == last) && (uint32_t)count <= last - first);
			compare(&queue, frames, count, same, first);
			const int dropped = count ? 1 + data[2] % (count < 8 ? count : 8) : 0;
			vn_queue_drop(&queue, dropped);
			for (int i = 0; i < dropped; i++)
				bytes -= held[first++].length;
		} else {
			memset(frame, (int)last & 0xff, length);
			if (vn_queue_put(&queue, frame, length, whole)) {
				bytes += length;
				held[last].length = length;
				held[last].whole = whole;
				held[last].content = (uint8_t)last;
				last++;
			} else {
				require(bytes + length + GAP > SIZE);
			}
		}
		require(queue.frames == last - first && queue.used <= SIZE);
	}
	vn_queue_free(&queue);
	return 0;
}
