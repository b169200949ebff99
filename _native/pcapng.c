/* Write pcapng files: draft-ietf-opsawg-pcapng, sections 4.1 to 4.6. Blocks are gathered before they are written; the first
 * write that fails ends the file. Times are nanoseconds since 1970. */
#include "internal.h"

#include <poll.h>
#include <unistd.h>

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_STATISTICS 5u
#define BLOCK_PACKET 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define OPTION_COMMENT 1
#define IF_NAME 2
#define IF_DESCRIPTION 3
#define IF_TSRESOL 9
#define EPB_FLAGS 2
#define ISB_RECEIVED 4         /* isb_ifrecv */
#define ISB_DROPPED 5          /* isb_ifdrop */
#define ISB_OS_DROPPED 7       /* isb_osdrop */
#define NANOSECONDS 9          /* if_tsresol: a power of ten */
#define PAUSE 1000000          /* nanoseconds until a reader that is slow is tried again */
#define PATIENCE 1000          /* milliseconds at the end for a reader that is slow */

/* Write what was gathered: all of it, or what a descriptor that never waits takes now. */
void vn_pcapng_flush(struct vn_pcapng *file)
{
	size_t done = 0;
	bool full = false;
	while (done < file->used && !file->error && !full) {
		ssize_t written = write(file->fd, file->buffer + done, file->used - done);
		if (written < 0 && file->never_waits && errno == EAGAIN)
			full = true;
		else if (written < 0 && errno != EINTR)
			file->error = errno;
		done += written > 0 ? (size_t)written : 0;
	}
	file->used = full ? file->used - done : 0;
	if (full && done)
		memmove(file->buffer, file->buffer + done, file->used);
}

/* Write all of it, and wait for a reader where that takes it. */
void vn_pcapng_settle(struct vn_pcapng *file)
{
	struct pollfd writable = {.fd = file->fd, .events = POLLOUT};
	do
		vn_pcapng_flush(file);
	while (file->used && !file->error && poll(&writable, 1, PATIENCE) > 0);
	if (file->used && !file->error)
		file->error = EAGAIN;
}

/* Whether a block finds room without waiting; whoever waits always has some. A reader that is slow is not asked for each. */
static bool has_room(struct vn_pcapng *file, uint32_t total, uint64_t time)
{
	if (!file->never_waits || sizeof(file->buffer) - file->used > total)
		return true;
	if (time - file->full_at < PAUSE)
		return false;
	vn_pcapng_flush(file);
	file->full_at = time;
	return sizeof(file->buffer) - file->used > total;
}

static void put(struct vn_pcapng *file, const void *data, size_t size)
{
	const uint8_t *from = data;
	while (size && !file->error) {
		size_t piece = sizeof(file->buffer) - file->used < size ? sizeof(file->buffer) - file->used : size;
		memcpy(file->buffer + file->used, from, piece);
		file->used += piece;
		from += piece;
		size -= piece;
		if (file->used == sizeof(file->buffer))
			vn_pcapng_flush(file);
	}
}

static void put_u32(struct vn_pcapng *file, uint32_t value)
{
	put(file, &value, sizeof(value));
}

static void put_padding(struct vn_pcapng *file, size_t size)
{
	static const uint8_t zero[4];
	put(file, zero, -size & 3);
}

static uint32_t padded(size_t size)
{
	return (uint32_t)((size + 3) & ~(size_t)3);
}

/* An option, which is left out where it is empty. */
static void put_option(struct vn_pcapng *file, uint16_t code, const void *value, size_t size)
{
	const uint16_t head[2] = {code, (uint16_t)size};
	if (!size)
		return;
	put(file, head, sizeof(head));
	put(file, value, size);
	put_padding(file, size);
}

static uint32_t option_size(size_t size)
{
	return size ? 4 + padded(size) : 0;
}

/* The end of options, and of a block. */
static void put_end(struct vn_pcapng *file, uint32_t total)
{
	put_u32(file, 0);
	put_u32(file, total);
}

void vn_pcapng_begin(struct vn_pcapng *file)
{
	static const uint32_t section[] = {
		BLOCK_SECTION, 28, BYTE_ORDER_MAGIC, 1 /* version 1.0 */, 0xffffffff, 0xffffffff /* length unknown */, 28,
	};
	put(file, section, sizeof(section));
}

/* The next interface, which count from 0. */
void vn_pcapng_interface(struct vn_pcapng *file, int link, const char *name, const char *description)
{
	const uint8_t resolution = NANOSECONDS;
	const uint16_t head[2] = {(uint16_t)link, 0};
	const uint32_t total = 24 + option_size(strlen(name)) + option_size(strlen(description)) + option_size(1);
	if (!has_room(file, total, 0)) /* without it, what follows cannot be read */
		vn_pcapng_settle(file);
	put_u32(file, BLOCK_INTERFACE);
	put_u32(file, total);
	put(file, head, sizeof(head));
	put_u32(file, 0); /* packets are whole */
	put_option(file, IF_NAME, name, strlen(name));
	put_option(file, IF_DESCRIPTION, description, strlen(description));
	put_option(file, IF_TSRESOL, &resolution, 1);
	put_end(file, total);
}

/* A packet that lies in two pieces. */
void vn_pcapng_packet(struct vn_pcapng *file, uint32_t interface, uint64_t time, uint32_t direction, const char *comment,
		      const uint8_t *head, uint32_t head_size, const uint8_t *data, uint32_t size)
{
	const uint32_t length = head_size + size;
	const uint32_t total = 32 + padded(length) + option_size(strlen(comment)) + option_size(4) + 4;
	const uint32_t fixed[] = {BLOCK_PACKET, total, interface, (uint32_t)(time >> 32), (uint32_t)time, length, length};
	if (!has_room(file, total, time)) {
		file->lost[interface % 2]++;
		return;
	}
	put(file, fixed, sizeof(fixed));
	put(file, head, head_size);
	put(file, data, size);
	put_padding(file, length);
	put_option(file, OPTION_COMMENT, comment, strlen(comment));
	put_option(file, EPB_FLAGS, &direction, sizeof(direction));
	put_end(file, total);
}

/* What an interface has received, dropped, and lost in the kernel. */
void vn_pcapng_statistics(struct vn_pcapng *file, uint32_t interface, uint64_t time, const uint64_t values[3])
{
	const uint32_t total = 28 + 3 * option_size(8);
	const uint32_t fixed[] = {BLOCK_STATISTICS, total, interface, (uint32_t)(time >> 32), (uint32_t)time};
	if (!has_room(file, total, time))
		vn_pcapng_settle(file);
	put(file, fixed, sizeof(fixed));
	put_option(file, ISB_RECEIVED, values, 8);
	put_option(file, ISB_DROPPED, values + 1, 8);
	put_option(file, ISB_OS_DROPPED, values + 2, 8);
	put_end(file, total);
}

size_t vn_pcapng_packets(const uint8_t *data, size_t size, size_t most, uint64_t *inner)
{
	uint32_t head[3]; /* kind, bytes of all, interface */
	size_t at = 0;
	*inner = 0;
	while (size - at >= sizeof(head)) {
		memcpy(head, data + at, sizeof(head));
		if (head[0] != BLOCK_PACKET || head[1] < 32 || head[1] > size - at || at + head[1] > most)
			break;
		*inner += head[2] % 2 == 0;
		at += head[1];
	}
	return at;
}
