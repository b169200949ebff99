/* l2tpv3: Ethernet over static L2TPv3, over UDP or straight on IP, protocol 115.
 *
 * Reference: RFC 3931 sections 4.1.1 (IP) and 4.1.2 (UDP), RFC 4719; HOWTO, "l2tpv3 socket transport".
 *
 *      0            4            8               8/12/16        … + 4
 *      | 00030000   | session    | cookie, 4 or  | counter,     |  frame …
 *      | UDP alone  |            | 8, if any     | if any       |
 *
 * A packet is ours if its cookie, then its session are those that we receive. 00030000 and the counter are not looked
 * at. The counter takes all 32 bits of the place of RFC 3931's L2-specific sublayer, without its S bit.
 */
#include "../internal.h"

#define PROTOCOL_L2TP 115 /* IANA, protocol numbers */
#define DATA_VERSION_3 0x00030000u

struct l2tpv3 { uint32_t session, session_at, cookie_at, cookie_size, counter_at; uint8_t cookie[8]; };
_Static_assert(sizeof(struct l2tpv3) <= VN_STATE, "fits the port");

static void form(const struct vn_port *port, uint8_t *header, uint32_t number)
{
	vn_put32(header + ((const struct l2tpv3 *)port->state)->counter_at, number);
}

static enum vn_counter verify(const struct vn_port *port, const uint8_t *header)
{
	const struct l2tpv3 *l2tp = (const void *)port->state;
	if (memcmp(header + l2tp->cookie_at, l2tp->cookie, l2tp->cookie_size) != 0)
		return VN_RX_DROP_COOKIE;
	if (vn_get32(header + l2tp->session_at) != l2tp->session)
		return VN_RX_DROP_SESSION;
	return VN_RX_FRAMES;
}

static void put_cookie(uint8_t *at, uint32_t size, uint64_t cookie)
{
	if (size == 8) {
		vn_put32(at, (uint32_t)(cookie >> 32));
		at += 4;
	}
	if (size)
		vn_put32(at, (uint32_t)cookie);
}

static int open_l2tpv3(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	struct l2tpv3 *l2tp = (void *)port->state;
	const bool udp = vn_number(options, "udp", 0), counter = vn_number(options, "counter", 0);
	const uint64_t srcport = vn_number(options, "srcport", 0), dstport = vn_number(options, "dstport", 0);
	if (!vn_text(options, "rx_session") || !vn_text(options, "tx_session"))
		return vn_fail(failure, VN_STEP_OPTION, "rx_session and tx_session", EINVAL);
	if (udp && (!srcport || srcport > 65535 || !dstport || dstport > 65535))
		return vn_fail(failure, VN_STEP_OPTION, "srcport and dstport", EINVAL);
	if (!vn_text(options, "rx_cookie") != !vn_text(options, "tx_cookie"))
		return vn_fail(failure, VN_STEP_OPTION, "rx_cookie, which needs tx_cookie", EINVAL);

	uint32_t at = 0;
	if (udp) {
		vn_put32(port->tx.template, DATA_VERSION_3);
		at = 4;
	}
	l2tp->session = (uint32_t)vn_number(options, "rx_session", 0);
	l2tp->session_at = at;
	vn_put32(port->tx.template + at, (uint32_t)vn_number(options, "tx_session", 0));
	at += 4;
	l2tp->cookie_at = at;
	l2tp->cookie_size = !vn_text(options, "rx_cookie") ? 0 : vn_number(options, "cookie64", 0) ? 8 : 4;
	put_cookie(l2tp->cookie, l2tp->cookie_size, vn_number(options, "rx_cookie", 0));
	put_cookie(port->tx.template + at, l2tp->cookie_size, vn_number(options, "tx_cookie", 0));
	at += l2tp->cookie_size;
	l2tp->counter_at = at;
	if (counter)
		at += 4;
	if (!counter || vn_number(options, "pin_counter", 0))
		port->transport.form = NULL;
	port->header = at;
	return udp ? vn_open_inet(port, options, SOCK_DGRAM, IPPROTO_UDP, (uint16_t)srcport, (uint16_t)dstport, failure)
		   : vn_open_inet(port, options, SOCK_RAW, PROTOCOL_L2TP, 0, 0, failure);
}

const struct vn_transport vn_transport_l2tpv3 = {.name = "l2tpv3", .open = open_l2tpv3, .form = form, .verify = verify};
