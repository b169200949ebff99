/* A tunnel's packets as an interface of the host carries them: the IP packet, whose end they come to, and what that makes of
 * them.
 *
 * Reference: RFC 791, RFC 8200 sections 3 and 4 (extension headers), RFC 768.
 *
 * A packet is an end's if it comes by the protocol, from the address of the other end to the end's own, and over UDP to
 * its port: the source's port is not looked at, as no guest does. Whatever IP itself would not take, nobody gets.
 */
#include "internal.h"

#define IPV6 40                  /* bytes of its header */
#define UDP 8
#define MORE_FRAGMENTS 0x2000u
#define FRAGMENT_AT 0x1fffu

static bool read_v4(const uint8_t *data, uint32_t length, struct vn_outer *outer)
{
	if (length < VN_IPV4)
		return false;
	const uint32_t head = (data[0] & 15u) * 4, total = vn_get16(data + 2), part = vn_get16(data + 6);
	if (head < VN_IPV4 || total < head || total > length)
		return false;
	*outer = (struct vn_outer){.from = data + 12, .to = data + 16, .head = head, .size = total - head, .family = AF_INET,
		.protocol = data[9], .fragment = part & (MORE_FRAGMENTS | FRAGMENT_AT)};
	return true;
}

static bool read_v6(const uint8_t *data, uint32_t length, struct vn_outer *outer)
{
	if (length < IPV6)
		return false;
	const uint32_t end = IPV6 + vn_get16(data + 4);
	uint32_t head = IPV6;
	uint8_t next = data[6];
	if (end > length)
		return false;
	*outer = (struct vn_outer){.from = data + 8, .to = data + 24, .family = AF_INET6};
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS || next == IPPROTO_FRAGMENT) {
		if (end - head < 8)
			return false;
		const uint32_t size = next == IPPROTO_FRAGMENT ? 8 : 8 + 8u * data[head + 1];
		if (end - head < size)
			return false;
		if (next == IPPROTO_FRAGMENT && vn_get16(data + head + 2) & 0xfff9u) /* where it begins, and whether more come */
			outer->fragment = true;
		next = data[head];
		head += size;
	}
	outer->protocol = next;
	outer->head = head;
	outer->size = end - head;
	return true;
}

/* An IP packet, as far as it is one. */
bool vn_outer_read(const uint8_t *data, uint32_t length, struct vn_outer *outer)
{
	const uint32_t version = length ? data[0] >> 4 : 0;
	if (version == 4 ? !read_v4(data, length, outer) : version == 6 ? !read_v6(data, length, outer) : true)
		return false;
	outer->payload = data + outer->head;
	if (outer->protocol != IPPROTO_UDP || outer->fragment)
		return true;
	if (outer->size < UDP)
		return false;
	const uint32_t size = vn_get16(outer->payload + 4);
	if (size < UDP || size > outer->size)
		return false;
	memcpy(&outer->port, outer->payload + 2, sizeof(outer->port));
	outer->payload += UDP;
	outer->head += UDP;
	outer->size = size - UDP;
	return true;
}

static bool comes_to(const struct vn_outer *outer, const struct vn_port *end)
{
	const size_t size = vn_inet_size(&end->local);
	const uint16_t port = *vn_inet_port(&end->local);
	return outer->family == end->local.ss_family && outer->protocol == end->protocol &&
	       (outer->fragment || outer->port == port) && !memcmp(outer->to, vn_inet_address(&end->local), size) &&
	       !memcmp(outer->from, vn_inet_address(&end->remote), size);
}

/* The end that takes the packet, or the first one that it comes to and that drops it; -1 where it comes to none. */
int vn_outer_end(const struct vn_outer *outer, struct vn_port *const *ends, int count, enum vn_counter *verdict)
{
	int found = -1;
	for (int i = 0; i < count; i++) {
		if (!comes_to(outer, ends[i]))
			continue;
		const enum vn_counter said = outer->fragment ? VN_RX_FRAMES : vn_judge(ends[i], outer->payload, outer->size);
		const bool taken = said == VN_RX_FRAMES || said == VN_RX_DROP_TRUNCATED;
		if (found < 0 || taken) {
			found = i;
			*verdict = said;
		}
		if (taken)
			break;
	}
	return found;
}

/* The headers of the UDP packet `data` as they are before the outer's payload alone: so the kernel cuts a train, udp(7).
 * Returns their size. */
uint32_t vn_outer_shorten(const struct vn_outer *outer, const uint8_t *data, uint8_t *out)
{
	memcpy(out, data, outer->head);
	if (outer->family == AF_INET) {
		vn_put16(out + 2, outer->head + outer->size);
		vn_put16(out + 10, 0);
		const uint16_t sum = vn_fold(vn_sum(out, (out[0] & 15u) * 4, 0));
		memcpy(out + 10, &sum, sizeof(sum));
	} else {
		vn_put16(out + 4, outer->head - IPV6 + outer->size);
	}
	uint8_t *udp = out + outer->head - UDP;
	const uint32_t size = UDP + outer->size;
	const uint8_t pseudo[4] = {0, IPPROTO_UDP, (uint8_t)(size >> 8), (uint8_t)size};
	vn_put16(udp + 4, size);
	vn_put16(udp + 6, 0);
	const uint64_t addresses = vn_sum(outer->from, outer->family == AF_INET ? 8 : 32, vn_sum(pseudo, 4, 0));
	uint16_t sum = vn_fold(vn_sum(outer->payload, outer->size, vn_sum(udp, UDP, addresses)));
	sum = sum ? sum : 0xffff;
	memcpy(udp + 6, &sum, sizeof(sum));
	return outer->head;
}
