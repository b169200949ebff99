/* What the harnesses share. */
#ifndef VECNET_FUZZ_H
#define VECNET_FUZZ_H

#include "../internal.h"

#include <stdlib.h>

/* What must hold: the fuzzer reports where it does not. */
#define require(condition) ((condition) ? (void)0 : abort())

extern int fake_far_end; /* the other end of the port that was opened last */

struct vn_port *fake_open(const char *transport, const char *options, uint32_t flags);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read every byte, so that a sanitizer sees each one. */
static inline uint32_t touch(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum += data[i];
	return sum;
}

#endif
