/* Measuring what a batch costs, next to a bare loop on the same sockets. cffi reads this file verbatim, too.
 *
 * A bare end uses its port's descriptors and arrays and nothing else of it: no header is formed, none is checked, nothing
 * is counted. What it sends are whole packets that were made beforehand, so that a port at the other end takes them.
 */

struct vn_bench_end { struct vn_port *port; int bare; };

/* What is moved: `count` times one frame, and that `rounds` times. Ports that were opened with VN_RAW_OFFLOAD take a frame
 * with its virtio-net header; where the transport has none they cut it, and a bare end then sends segments that were cut
 * beforehand. */
struct vn_bench_load { const uint8_t *frame; uint32_t length; int count; int rounds; };

/* Nanoseconds of all rounds: on the clock, and of this thread's processor time. */
struct vn_bench_cost { int64_t wall; int64_t processor; };

/* Frames go out at one end and come in at the other; first all out, then all in, so that each half is timed alone.
 * Returns 0, -ENOBUFS where a queue does not hold a round's frames, -ETIMEDOUT where one is lost. */
int vn_bench_one_way(struct vn_bench_end from, struct vn_bench_end to, const struct vn_bench_load *load,
		     struct vn_bench_cost *out, struct vn_bench_cost *in);
/* Frames that a bare end fed are taken in at `from` and sent out at `to`: the cost of that alone. */
int vn_bench_forward(struct vn_port *feeder, struct vn_port *from, struct vn_port *to, struct vn_port *sink, int bare,
		     const struct vn_bench_load *load, struct vn_bench_cost *spent);
/* One frame goes out, is taken in, sent back and taken in again: nanoseconds of each round, in `times`. */
int vn_bench_echo(struct vn_bench_end here, struct vn_bench_end there, const struct vn_bench_load *load, int64_t *times);
/* What is between: a switch, or `forward` between two ports, from the one whose end was fed to the other. */
struct vn_bench_middle { struct vn_switch *sw; struct vn_port *ports[2]; };
/* Frames that the ends fed pass through the middle, whose ports are at their other ends: the cost of that alone. `count`
 * ends take turns, `at_once` of them a round; each feeds `load->count` frames, which lie one after another in its `frames`.
 * The frames come out at any of the ends. Returns 0, -ENOBUFS, or -ETIMEDOUT where frames are lost. */
int vn_bench_switch(const struct vn_bench_middle *middle, struct vn_port *const *ends, const uint8_t *const *frames,
		    int count, int at_once, const struct vn_bench_load *load, struct vn_bench_cost *spent);
