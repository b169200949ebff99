/* The memory of a port's batches, made when it is opened.
 *
 * Receiving: `depth` slots, filled by one recvmmsg, and behind them room for the segments of large frames.
 *
 *     slot:  | lead, free | IP header, raw IPv4 only | our header | Ethernet frame | 5 bytes: a tag, and one too many |
 *
 * Sending: `depth` headers, each of which holds the template from the start, and for each message two vectors: header and
 * frame.
 */
#include "internal.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SPARE (VN_VLAN + 1)      /* a tagged frame may be longer by a tag; one byte more shows that a frame was cut short */

int vn_memory_make(struct vn_port *port)
{
	struct vn_rx *rx = &port->rx;
	struct vn_tx *tx = &port->tx;
	const size_t depth = port->depth;
	const size_t room = rx->trains ? VN_LARGE : rx->header + port->most + SPARE;
	const bool names = port->flags & VN_STRICT_SOURCE && port->remote_size;
	const bool control = (port->transport.vnet && rx->socket) || rx->trains;

	rx->slot = ((rx->lead + room + 63) & ~(size_t)63) + 64; /* not a power of two, or slots would share cache lines */
	port->memory_size = depth * rx->slot + (port->transport.vnet ? VN_CUT : 0);
	void *memory = mmap(NULL, port->memory_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	port->memory = memory;
	rx->messages = calloc(depth, sizeof(*rx->messages));
	rx->vectors = calloc(depth, sizeof(*rx->vectors));
	tx->messages = calloc(depth, sizeof(*tx->messages));
	tx->vectors = calloc(2 * depth, sizeof(*tx->vectors));
	tx->headers = calloc(depth, VN_HEADER);
	tx->frames = calloc(depth, sizeof(*tx->frames));
	if (names && !(rx->names = calloc(depth, sizeof(*rx->names))))
		return -ENOMEM;
	if (control && !(rx->control = calloc(depth, VN_CONTROL)))
		return -ENOMEM;
	if (tx->train_most) {
		tx->control = calloc(depth, VN_TRAIN_CONTROL);
		tx->ends = calloc(depth, sizeof(*tx->ends));
		if (!tx->control || !tx->ends)
			return -ENOMEM;
	}
	if (port->flags & VN_RAW_OFFLOAD && !port->transport.vnet) {
		tx->cut = malloc(VN_CUT);
		tx->cut_frames = calloc(VN_CUT_FRAMES, sizeof(*tx->cut_frames));
		if (!tx->cut || !tx->cut_frames)
			return -ENOMEM;
	}
	if (!rx->messages || !rx->vectors || !tx->messages || !tx->vectors || !tx->headers || !tx->frames)
		return -ENOMEM;

	if (port->batch > 1 && !tx->socket && (tx->results = calloc(depth, sizeof(*tx->results))))
		tx->ring = vn_ring_open(port->batch);

	rx->used = port->depth;
	for (size_t i = 0; i < depth; i++) {
		rx->vectors[i].iov_base = port->memory + i * rx->slot + rx->lead;
		rx->vectors[i].iov_len = room;
		rx->messages[i].msg_hdr.msg_iov = &rx->vectors[i];
		rx->messages[i].msg_hdr.msg_iovlen = 1;
		rx->messages[i].msg_hdr.msg_name = rx->names ? &rx->names[i] : NULL;
		rx->messages[i].msg_hdr.msg_control = rx->control ? rx->control + i * VN_CONTROL : NULL;
		memcpy(tx->headers + i * VN_HEADER, tx->template, VN_HEADER);
		tx->vectors[2 * i].iov_base = tx->headers + i * VN_HEADER;
		tx->vectors[2 * i].iov_len = port->header;
		if (port->remote_size) {
			tx->messages[i].msg_hdr.msg_name = &port->remote;
			tx->messages[i].msg_hdr.msg_namelen = port->remote_size;
		}
	}
	return 0;
}

void vn_memory_free(struct vn_port *port)
{
	if (port->memory)
		munmap(port->memory, port->memory_size);
	free(port->rx.messages);
	free(port->rx.vectors);
	free(port->rx.names);
	free(port->rx.control);
	free(port->tx.messages);
	free(port->tx.vectors);
	free(port->tx.headers);
	vn_ring_close(port->tx.ring);
	free(port->tx.results);
	free(port->tx.frames);
	free(port->tx.control);
	free(port->tx.ends);
	free(port->tx.cut);
	free(port->tx.cut_frames);
}
