/* Any virtio-net header before any frame: whatever is cut comes out whole, and nothing beyond the frame is touched. */
#include "fuzz.h"

/* Bytes of the frame's payload in a segment, whose headers may be longer by an IPv6 fragment header. */
static uint32_t payload(const struct vn_cutter *cutter, uint32_t length)
{
	const bool fragment = cutter->kind == 3 && cutter->version == 6;
	return length - cutter->header - (fragment ? 8 : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_offload offload;
	struct vn_cutter cutter;
	if (size < VN_VNET)
		return 0;
	memcpy(&offload, data, VN_VNET);
	const uint32_t length = (uint32_t)size - VN_VNET;
	uint8_t *frame = malloc(length ? length : 1);
	require(frame);
	memcpy(frame, data + VN_VNET, length);

	if (vn_fill_checksum(&offload, frame, length))
		require((uint32_t)offload.start + offload.offset + 2 <= length);
	const uint32_t most = size % 2 ? 1518 : UINT32_MAX;
	if (vn_cut_begin(&cutter, &offload, frame, length, most)) {
		const uint32_t count = cutter.count, room = cutter.header + cutter.size + 8;
		uint32_t segments = 0, total = 0;
		require(count >= 1 && cutter.header <= length);
		uint8_t *out = malloc(room);
		require(out);
		require(vn_cut_next(&cutter, out, cutter.header) == 0); /* no room: nothing is written */
		while (cutter.count) {
			uint32_t written = vn_cut_next(&cutter, out, room);
			require(written >= cutter.header && written <= room && written <= most);
			touch(out, written);
			total += payload(&cutter, written);
			segments++;
		}
		require(segments == count && total == length - cutter.header);
		free(out);
	}
	free(frame);
	return 0;
}
