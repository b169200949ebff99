/* Large frames cut as a network card cuts them, and checksums filled in, by their virtio-net header.
 *
 * The header comes from whoever sends, so nothing in it is believed: every offset is checked against the frame before
 * it is used. Sources: virtio 1.2 section 5.1.6 (the header), RFC 791, 8200 (IP), 9293 (TCP), 768 (UDP), 1071 (the sum),
 * 3168 section 6.1.2 (CWR on the first segment alone).
 */
#include "internal.h"

#define GSO_TCPV4 1        /* VIRTIO_NET_HDR_GSO_… */
#define GSO_UDP 3          /* one datagram, to be cut into IP fragments */
#define GSO_TCPV6 4
#define GSO_UDP_L4 5       /* several datagrams of gso_size bytes */
#define GSO_ECN 0x80       /* added to TCP's: CWR may be set */

#define TCP 6
#define UDP 17
#define FRAGMENT 44        /* RFC 8200 section 4.5 */

/* The Internet checksum's sum so far, RFC 1071; all but the last piece must be of even length. */
uint64_t vn_sum(const uint8_t *data, uint32_t length, uint64_t sum)
{
	uint32_t word;
	uint16_t half;
	for (; length >= 4; data += 4, length -= 4) {
		memcpy(&word, data, 4);
		sum += word;
	}
	if (length >= 2) {
		memcpy(&half, data, 2);
		sum += half;
		data += 2;
		length -= 2;
	}
	return length ? sum + *data : sum;
}

/* The folded complement, in memory order. */
uint16_t vn_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put_sum(uint8_t *at, uint16_t sum)
{
	memcpy(at, &sum, 2);
}

bool vn_fill_checksum(const struct vn_offload *offload, uint8_t *frame, uint32_t length)
{
	uint32_t at = (uint32_t)offload->start + offload->offset;
	if (offload->start >= length || at + 2 > length)
		return false;
	uint16_t sum = vn_fold(vn_sum(frame + offload->start, length - offload->start, 0));
	put_sum(frame + at, sum ? sum : 0xffff); /* 0 would say "no checksum" in UDP, and is the same number in TCP */
	return true;
}

/* Find the transport header behind an IPv6 header and options. Returns its offset, or 0. */
static uint32_t skip_options(const uint8_t *frame, uint32_t length, uint32_t l3, uint8_t *protocol)
{
	uint32_t at = l3 + 40;
	*protocol = frame[l3 + 6];
	while (*protocol == 0 || *protocol == 60) { /* hop-by-hop and destination options */
		if (at + 8 > length)
			return 0;
		*protocol = frame[at];
		at += 8 * (frame[at + 1] + 1u);
	}
	return at <= length ? at : 0;
}

/* Check a large frame and what its header asks for, of which no segment's frame may be longer than `most`. Returns
 * whether it can be done; segments are left to be made only if so. */
bool vn_cut_begin(struct vn_cutter *cutter, const struct vn_offload *offload, uint8_t *frame, uint32_t length,
		  uint32_t most)
{
	const uint8_t type = offload->type & (uint8_t)~GSO_ECN;
	const bool tcp = type == GSO_TCPV4 || type == GSO_TCPV6;
	uint8_t protocol;
	uint32_t l3 = VN_ETHERNET, l4;

	*cutter = (struct vn_cutter){.frame = frame, .length = length, .kind = type, .size = offload->size};
	if ((!tcp && type != GSO_UDP && type != GSO_UDP_L4) || !offload->size || length < l3)
		return false;
	uint32_t ethertype = vn_get16(frame + 12);
	for (int tags = 0; tags < 2 && (ethertype == 0x8100 || ethertype == 0x88a8); tags++, l3 += VN_VLAN) {
		if (l3 + VN_VLAN > length)
			return false;
		ethertype = vn_get16(frame + l3 + 2);
	}
	if (ethertype == 0x0800 && type != GSO_TCPV6) {
		if (l3 + 20 > length || frame[l3] >> 4 != 4 || (frame[l3] & 15) < 5)
			return false;
		l4 = l3 + 4u * (frame[l3] & 15);
		protocol = frame[l3 + 9];
		if (vn_get16(frame + l3 + 6) & 0x3fff) /* a fragment already */
			return false;
		cutter->version = 4;
	} else if (ethertype == 0x86dd && type != GSO_TCPV4) {
		if (l3 + 40 > length || frame[l3] >> 4 != 6)
			return false;
		l4 = skip_options(frame, length, l3, &protocol);
		cutter->version = 6;
	} else {
		return false;
	}
	if (!l4 || protocol != (tcp ? TCP : UDP) || l4 + (tcp ? 20u : 8u) > length)
		return false;
	if (offload->flags & VN_NEEDS_CHECKSUM && (offload->start != l4 || offload->offset != (tcp ? 16 : 6)))
		return false;
	cutter->header = l4 + 8;
	if (tcp) {
		uint32_t own = 4u * (frame[l4 + 12] >> 4);
		if (own < 20 || l4 + own > length)
			return false;
		cutter->header = l4 + own;
	} else if (type == GSO_UDP) {
		cutter->header = l4; /* fragments carry the UDP header as payload */
		cutter->size &= ~7u;
		if (!cutter->size || length - l4 > 65535 || (cutter->version == 6 && l4 != l3 + 40))
			return false;
	}
	cutter->l3 = l3;
	cutter->l4 = l4;
	uint32_t payload = length - cutter->header;
	uint32_t extension = type == GSO_UDP && cutter->version == 6 ? 8 : 0; /* the fragment header */
	uint32_t longest = cutter->header + extension + (payload < cutter->size ? payload : cutter->size);
	if (longest - l3 > 65535 || longest > most)
		return false;
	cutter->count = payload ? (payload + cutter->size - 1) / cutter->size : 1;
	return true;
}

/* The checksum of a whole TCP segment or UDP datagram at l4, with the pseudo-header of the addresses at l3. */
static uint16_t transport_sum(const struct vn_cutter *cutter, const uint8_t *ip, const uint8_t *l4, uint32_t size,
			      uint8_t protocol)
{
	uint8_t pseudo[4] = {0, protocol, (uint8_t)(size >> 8), (uint8_t)size};
	uint64_t sum = cutter->version == 4 ? vn_sum(ip + 12, 8, 0) : vn_sum(ip + 8, 32, 0);
	uint16_t folded = vn_fold(vn_sum(l4, size, vn_sum(pseudo, 4, sum)));
	return folded ? folded : 0xffff;
}

static void put_ip_length(const struct vn_cutter *cutter, uint8_t *ip, uint32_t size)
{
	if (cutter->version == 6) {
		vn_put16(ip + 4, size - 40);
		return;
	}
	vn_put16(ip + 2, size);
	vn_put16(ip + 10, 0);
	put_sum(ip + 10, vn_fold(vn_sum(ip, 4u * (ip[0] & 15), 0)));
}

/* One IP fragment of a large UDP datagram. */
static uint32_t next_fragment(struct vn_cutter *cutter, uint8_t *out, uint32_t chunk, bool last)
{
	const uint32_t l3 = cutter->l3;
	uint32_t at = cutter->l4;
	if (!cutter->done) { /* the whole datagram's checksum, in its first fragment */
		uint8_t *udp = cutter->frame + cutter->l4;
		uint32_t size = cutter->length - cutter->l4;
		vn_put16(udp + 4, size);
		vn_put16(udp + 6, 0);
		put_sum(udp + 6, transport_sum(cutter, cutter->frame + l3, udp, size, UDP));
	}
	memcpy(out, cutter->frame, at);
	if (cutter->version == 4) {
		vn_put16(out + l3 + 6, cutter->done / 8 | (last ? 0 : 0x2000));
	} else { /* RFC 8200 section 4.5; the checksum is as good an identification as any other 16 bits */
		out[at] = UDP;
		out[at + 1] = 0;
		out[l3 + 6] = FRAGMENT;
		vn_put16(out + at + 2, cutter->done | (last ? 0 : 1));
		vn_put16(out + at + 4, vn_get16(out + l3 + 22));
		memcpy(out + at + 6, cutter->frame + cutter->l4 + 6, 2);
		at += 8;
	}
	memcpy(out + at, cutter->frame + cutter->header + cutter->done, chunk);
	put_ip_length(cutter, out + l3, at - l3 + chunk);
	return at + chunk;
}

/* Write the next segment. Returns its length, or 0 where there is no room. count falls to 0 with the last one. */
uint32_t vn_cut_next(struct vn_cutter *cutter, uint8_t *out, uint32_t room)
{
	const uint32_t left = cutter->length - cutter->header - cutter->done;
	const uint32_t chunk = left < cutter->size ? left : cutter->size;
	const uint32_t total = cutter->header + chunk;
	const bool first = cutter->done == 0, last = chunk == left;
	const uint32_t l3 = cutter->l3, l4 = cutter->l4;
	uint32_t written = total;

	if (room < total + 8)
		return 0;
	if (cutter->kind == GSO_UDP) {
		written = next_fragment(cutter, out, chunk, last);
	} else {
		memcpy(out, cutter->frame, cutter->header);
		memcpy(out + cutter->header, cutter->frame + cutter->header + cutter->done, chunk);
		if (cutter->version == 4)
			vn_put16(out + l3 + 4, (vn_get16(out + l3 + 4) + cutter->done / cutter->size) & 0xffff);
		put_ip_length(cutter, out + l3, total - l3);
		if (cutter->kind == GSO_UDP_L4) {
			vn_put16(out + l4 + 4, total - l4);
			vn_put16(out + l4 + 6, 0);
			put_sum(out + l4 + 6, transport_sum(cutter, out + l3, out + l4, total - l4, UDP));
		} else {
			vn_put32(out + l4 + 4, vn_get32(out + l4 + 4) + cutter->done);
			if (!last)
				out[l4 + 13] &= (uint8_t)~0x09; /* FIN, PSH */
			if (!first)
				out[l4 + 13] &= (uint8_t)~0x80; /* CWR */
			vn_put16(out + l4 + 16, 0);
			put_sum(out + l4 + 16, transport_sum(cutter, out + l3, out + l4, total - l4, TCP));
		}
	}
	cutter->done += chunk;
	cutter->count--;
	return written;
}
