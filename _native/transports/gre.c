/* gre: Ethernet over GRE, IP protocol 47.
 *
 * Reference: RFC 2784, RFC 2890; HOWTO, "GRE socket transport".
 *
 *      0                 2                 4            8               12
 *      | flags           | 0x6558          | key, if    | sequence, if  |  frame …
 *      | 0x2000 key      | (transparent    | 0x2000     | 0x1000        |
 *      | 0x1000 sequence | Ethernet)       |            |               |
 *
 * A packet is ours if its first word, flags and all, equals ours and the key is the one we receive. The sequence is not
 * looked at.
 */
#include "../internal.h"

#define KEY 0x20000000u
#define SEQUENCE 0x10000000u
#define TRANSPARENT_ETHERNET 0x6558u
#define KEY_AT 4

struct gre { uint32_t word, key, sequence_at; };
_Static_assert(sizeof(struct gre) <= VN_STATE, "fits the port");

static void form(const struct vn_port *port, uint8_t *header, uint32_t number)
{
	vn_put32(header + ((const struct gre *)port->state)->sequence_at, number);
}

static enum vn_counter verify(const struct vn_port *port, const uint8_t *header)
{
	const struct gre *gre = (const void *)port->state;
	if (vn_get32(header) != gre->word)
		return VN_RX_DROP_FLAGS;
	if (gre->word & KEY && vn_get32(header + KEY_AT) != gre->key)
		return VN_RX_DROP_KEY;
	return VN_RX_FRAMES;
}

static int open_gre(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	struct gre *gre = (void *)port->state;
	uint32_t size = KEY_AT;
	if (!vn_text(options, "rx_key") != !vn_text(options, "tx_key"))
		return vn_fail(failure, VN_STEP_OPTION, "rx_key, which needs tx_key", EINVAL);

	gre->word = TRANSPARENT_ETHERNET;
	if (vn_text(options, "rx_key")) {
		gre->word |= KEY;
		gre->key = (uint32_t)vn_number(options, "rx_key", 0);
		vn_put32(port->tx.template + size, (uint32_t)vn_number(options, "tx_key", 0));
		size += 4;
	}
	const bool sequence = vn_number(options, "sequence", 0);
	if (sequence) {
		gre->word |= SEQUENCE;
		gre->sequence_at = size;
		size += 4;
	}
	if (!sequence || vn_number(options, "pin_sequence", 0))
		port->transport.form = NULL;
	vn_put32(port->tx.template, gre->word);
	port->header = size;
	return vn_open_inet(port, options, SOCK_RAW, IPPROTO_GRE, 0, 0, failure);
}

const struct vn_transport vn_transport_gre = {.name = "gre", .open = open_gre, .form = form, .verify = verify};
