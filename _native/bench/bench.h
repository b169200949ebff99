/* Measuring what a batch costs, next to a bare loop on the same sockets. cffi reads this file verbatim, too.
 *
 * A bare end uses its port's descriptors and arrays and nothing else of it: no header is formed, none is checked, nothing
 * is counted. What it sends are whole packets that were made beforehand, so that a port at the other end takes them.
 */

struct vn_bench_end { struct vn_port *port; int bare; };

/* `count` frames of `length` bytes go out at one end and come in at the other, `rounds` times; first all out, then all
 * in, so that each half is timed alone: nanoseconds of all rounds. Returns 0, -ENOBUFS where a queue does not hold
 * `count` frames, -ETIMEDOUT where one is lost. */
int vn_bench_one_way(struct vn_bench_end from, struct vn_bench_end to, uint32_t length, int count, int rounds,
		     int64_t *out, int64_t *in);
/* Frames that a bare end fed are taken in at `from` and sent out at `to`: the time of that alone. */
int vn_bench_forward(struct vn_port *feeder, struct vn_port *from, struct vn_port *to, struct vn_port *sink, int bare,
		     uint32_t length, int count, int rounds, int64_t *spent);
/* One frame goes out, is taken in, sent back and taken in again: the time of each round, in `times`. */
int vn_bench_echo(struct vn_bench_end here, struct vn_bench_end there, uint32_t length, int rounds, int64_t *times);
