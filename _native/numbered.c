/* Numbered frames: each carries what is needed to judge it alone. Numbers are big-endian.
 *
 *      0        6        12       14     16       20       28       32    34
 *      | target | source | 0x88b5 | "VN" | stream | number | length | sum | content …
 *
 * 0x88b5 is the IEEE's Ethertype for local experiments: no host's stack takes it. The sum is RFC 1071's, of stream, number
 * and length. The content follows from the number's
 * lowest bits: by turns noise, a ramp, zeros, ones, alternating bits, and the beginning of an IP packet. Each lies ready in
 * a stretch of memory, and begins a few bytes further for the next number, so it is compared by one memcmp, and who sends
 * many writes it but once.
 */
#include "internal.h"

#define MAGIC 0x564eu        /* "VN" */
#define AT_TYPE 12
#define AT_MAGIC 14
#define AT_STREAM 16
#define AT_NUMBER 20
#define AT_LENGTH 28
#define AT_SUM 32
#define PADDED 60            /* bytes of the smallest frame on a real Ethernet, IEEE 802.3: shorter ones may be padded */
#define SHIFT 8u             /* bytes between the contents of two neighbours */

enum stretch { NOISE, RAMP, ZEROS, ONES, ALTERNATING, PACKET, STRETCHES }; /* the packet last, see below */
static uint8_t stretches[STRETCHES][VN_NUMBERED_SLOTS * SHIFT + VN_LARGE];

__attribute__((constructor)) static void make_stretches(void)
{
	static const uint8_t ip[] = {0x45, 0, 0, 84, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
	uint32_t state = VN_NUMBERED_TYPE; /* xorshift32, Marsaglia 2003 */
	for (size_t i = 0; i < sizeof(*stretches); i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		stretches[NOISE][i] = (uint8_t)state;
		stretches[RAMP][i] = (uint8_t)i;
		stretches[ONES][i] = 0xff;
		stretches[ALTERNATING][i] = i % 2 ? 0x55 : 0xaa;
		const size_t at = (i + SHIFT) % (STRETCHES * SHIFT); /* 0 where the content of each such number begins */
		stretches[PACKET][i] = at < sizeof(ip) ? ip[at] : (uint8_t)i;
	}
}

static const uint8_t *content(uint64_t number)
{
	const uint32_t slot = number % VN_NUMBERED_SLOTS;
	return stretches[slot % STRETCHES] + slot * SHIFT;
}

static uint16_t sum_of(const uint8_t *frame)
{
	return vn_fold(vn_sum(frame + AT_STREAM, AT_SUM - AT_STREAM, 0));
}

/* Patch number and length. The content stays, so it must be that of the number. */
void vn_numbered_renumber(uint8_t *frame, uint64_t number, uint32_t length)
{
	vn_put32(frame + AT_NUMBER, (uint32_t)(number >> 32));
	vn_put32(frame + AT_NUMBER + 4, (uint32_t)number);
	vn_put32(frame + AT_LENGTH, length);
	const uint16_t sum = sum_of(frame);
	memcpy(frame + AT_SUM, &sum, 2);
}

void vn_numbered_make(const struct vn_label *label, uint8_t *frame, uint32_t length)
{
	memcpy(frame, label->target, 6);
	memcpy(frame + 6, label->source, 6);
	vn_put16(frame + AT_TYPE, VN_NUMBERED_TYPE);
	vn_put16(frame + AT_MAGIC, MAGIC);
	vn_put32(frame + AT_STREAM, label->stream);
	vn_numbered_renumber(frame, label->number, length);
	memcpy(frame + VN_NUMBERED_HEADER, content(label->number), length - VN_NUMBERED_HEADER);
}

int vn_numbered_judge(const uint8_t *frame, uint32_t length, struct vn_label *label)
{
	if (length < VN_NUMBERED_HEADER || vn_get16(frame + AT_TYPE) != VN_NUMBERED_TYPE || vn_get16(frame + AT_MAGIC) != MAGIC)
		return VN_NUMBERED_FOREIGN;
	memcpy(label->target, frame, 6);
	memcpy(label->source, frame + 6, 6);
	label->stream = vn_get32(frame + AT_STREAM);
	label->number = (uint64_t)vn_get32(frame + AT_NUMBER) << 32 | vn_get32(frame + AT_NUMBER + 4);
	const uint32_t own = vn_get32(frame + AT_LENGTH);
	const uint16_t sum = sum_of(frame);
	if (memcmp(frame + AT_SUM, &sum, 2) != 0 || own < VN_NUMBERED_HEADER ||
	    (own != length && !(own < PADDED && length == PADDED)) ||
	    memcmp(frame + VN_NUMBERED_HEADER, content(label->number), own - VN_NUMBERED_HEADER) != 0)
		return VN_NUMBERED_CHANGED;
	return VN_NUMBERED_WHOLE;
}
