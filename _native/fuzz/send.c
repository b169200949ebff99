/* Any frame with a virtio-net header, sent on a wire that has none: what comes out is plain frames, and all is counted. */
#include "fuzz.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vn_port *port;
	static uint8_t out[VN_LARGE + VN_VNET];
	const uint32_t length = (uint32_t)size;
	if (!port)
		port = fake_open("fd", "fd=3,depth=7", VN_RAW_OFFLOAD);
	uint8_t *copy = malloc(size ? size : 1);
	require(copy);
	if (size)
		memcpy(copy, data, size);
	memset(port->counters, 0, sizeof(port->counters));
	int taken = vn_send(port, copy, &length, 1, 0);
	free(copy);
	/* Unix sockets hold few packets: a full queue before the first segment is no error, and after it is counted */
	require(taken == 1 || (taken == 0 && !port->counters[VN_TX_FRAMES]));
	for (uint64_t i = 0; i < port->counters[VN_TX_FRAMES]; i++) {
		ssize_t got = recv(fake_far_end, out, sizeof(out), MSG_DONTWAIT);
		require(got > 0);
		touch(out, (size_t)got);
	}
	require(recv(fake_far_end, out, sizeof(out), MSG_DONTWAIT) < 0);
	const uint64_t dropped = port->counters[VN_TX_DROP_INVALID] + port->counters[VN_TX_DROP_QUEUE_FULL];
	require(port->counters[VN_TX_FRAMES] + dropped >= 1);
	return 0;
}
