/* hybrid: sends through a tap's descriptor, receives from a packet socket on the same interface.
 *
 * Reference: HOWTO, "hybrid transport"; packet(7). The header is tap's, both ways.
 *
 * What the host sends to the tap reaches the packet socket as OUTGOING. Our own frames, written to the tap, come back as
 * anything else and must not be received: a filter keeps them in the kernel.
 */
#include "../internal.h"

#include <linux/filter.h>
#include <linux/if_packet.h>

static int open_hybrid(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	struct sock_filter outgoing[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {sizeof(outgoing) / sizeof(*outgoing), outgoing};
	const char *ifname = vn_text(options, "ifname");
	int rc = vn_open_tap(port, ifname, &port->tx.fd, failure);
	rc = rc ? rc : vn_open_packet(port, ifname, &port->rx.fd, failure);
	if (rc)
		return rc;
	port->rx.socket = true;
	if (setsockopt(port->rx.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		return vn_fail(failure, VN_STEP_FILTER, "outgoing packets", errno);
	return vn_bind_packet(port, port->rx.fd, true, failure);
}

const struct vn_transport vn_transport_hybrid = {.name = "hybrid", .vnet = true, .open = open_hybrid};
