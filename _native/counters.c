/* What is counted: each counter's name, and its meaning in words for people. */
#include "internal.h"

static const struct counter { const char *name, *meaning; } counters[VN_COUNTERS] = {
	[VN_RX_FRAMES] = {"rx_frames", "frames that were handed out"},
	[VN_RX_BYTES] = {"rx_bytes", "bytes of the frames that were handed out"},
	[VN_RX_CALLS] = {"rx_calls", "system calls that brought packets"},
	[VN_RX_DROP_SHORT] = {"rx_drop_short", "packets that are no longer than the header"},
	[VN_RX_DROP_FLAGS] = {"rx_drop_flags", "packets with other GRE flags or another protocol"},
	[VN_RX_DROP_KEY] = {"rx_drop_key", "packets with another key"},
	[VN_RX_DROP_COOKIE] = {"rx_drop_cookie", "packets with another cookie"},
	[VN_RX_DROP_SESSION] = {"rx_drop_session", "packets of another session"},
	[VN_RX_DROP_SOURCE] = {"rx_drop_source", "packets from another address"},
	[VN_RX_DROP_TRUNCATED] = {"rx_drop_truncated", "frames larger than the MTU"},
	[VN_RX_DROP_GSO] = {"rx_drop_gso", "large frames whose description does not fit them"},
	[VN_RX_DROP_CHECKSUM] = {"rx_drop_checksum", "frames whose checksum cannot be filled in"},
	[VN_RX_DROP_QUEUE_FULL] = {"rx_drop_queue_full", "packets for which the socket's queue had no room"},
	[VN_RX_LARGE] = {"rx_large", "large frames that were cut into segments"},
	[VN_RX_CHECKSUMS] = {"rx_checksums", "frames whose checksum was filled in"},
	[VN_RX_DATA_VALID] = {"rx_data_valid", "frames whose checksum the kernel had verified"},
	[VN_RX_VLAN] = {"rx_vlan", "frames whose VLAN tag was put back"},
	[VN_RX_KEPT_TRUNCATED] = {"rx_kept_truncated", "frames that were handed out though cut short"},
	[VN_RX_BATCH_MAX] = {"rx_batch_max", "packets by one call at the most"},
	[VN_RX_BATCH_AVERAGE] = {"rx_batch_average", "packets by one call, a running average"},
	[VN_TX_FRAMES] = {"tx_frames", "frames that the kernel took"},
	[VN_TX_BYTES] = {"tx_bytes", "bytes of the frames that the kernel took"},
	[VN_TX_CALLS] = {"tx_calls", "system calls that took packets"},
	[VN_TX_DROP_TOO_LONG] = {"tx_drop_too_long", "frames that are larger than the interface or the protocol takes"},
	[VN_TX_DROP_UNREACHABLE] = {"tx_drop_unreachable", "packets that have no route, or whose interface is down"},
	[VN_TX_DROP_REFUSED] = {"tx_drop_refused", "packets that a firewall refuses, or that need a permission"},
	[VN_TX_DROP_INVALID] = {"tx_drop_invalid", "frames that are empty, or that the kernel finds invalid"},
	[VN_TX_DROP_QUEUE_FULL] = {"tx_drop_queue_full", "segments of a large frame for which a queue had no room"},
	[VN_TX_DROP_OTHER] = {"tx_drop_other", "packets that the kernel did not send for another reason"},
	[VN_TX_QUEUE_FULL] = {"tx_queue_full", "times that the kernel took nothing more for now"},
	[VN_TX_QUEUE_READY] = {"tx_queue_ready", "times that the kernel took more again after that"},
	[VN_TX_BATCH_MAX] = {"tx_batch_max", "packets by one call at the most"},
	[VN_TX_BATCH_AVERAGE] = {"tx_batch_average", "packets by one call, a running average"},
};

static const struct counter loop_counters[VN_LOOP_COUNTERS] = {
	[VN_LOOP_FRAMES] = {"frames", "frames that were moved"},
	[VN_LOOP_BYTES] = {"bytes", "bytes of the frames that were moved"},
	[VN_LOOP_NEXT] = {"next", "the number after the highest that was seen, or that a generator sends next"},
	[VN_LOOP_LOST] = {"lost", "numbers that were passed over and have not come since"},
	[VN_LOOP_DOUBLED] = {"doubled", "frames that came again"},
	[VN_LOOP_REORDERED] = {"reordered", "frames that came after one of a higher number"},
	[VN_LOOP_CHANGED] = {"changed", "frames whose length or content is not what the generator sent"},
	[VN_LOOP_FOREIGN] = {"foreign", "frames that are not the generator's, or of another stream"},
	[VN_LOOP_DROPPED] = {"dropped", "frames that a pump has dropped, since they are too large for the other side"},
};

static const struct counter switch_counters[VN_SWITCH_COUNTERS] = {
	[VN_SWITCH_FLOODED] = {"flooded", "frames from it that went to every port: broadcast, multicast, to an unknown address"},
	[VN_SWITCH_LEARNT] = {"learnt", "addresses that were seen for the first time"},
	[VN_SWITCH_MOVED] = {"moved", "addresses that were at another port before"},
	[VN_SWITCH_CROWDED] = {"crowded", "addresses that had to be forgotten for newer ones"},
	[VN_SWITCH_CUT] = {"cut", "large frames that were cut for it"},
	[VN_SWITCH_QUEUED] = {"queued", "frames that waited until it took more"},
	[VN_SWITCH_CONNECTED] = {"connected", "guests that came"},
	[VN_SWITCH_REFUSED] = {"refused", "guests that came when all places were taken"},
	[VN_SWITCH_DOUBLED] = {"doubled", "frames for it that its impairment sent twice"},
	[VN_SWITCH_CORRUPTED] = {"corrupted", "frames for it of which its impairment changed a bit"},
	[VN_SWITCH_OVERTAKING] = {"overtaking", "frames for it that its impairment let overtake others"},
	[VN_SWITCH_DROP_SHORT] = {"drop_short", "frames from it without a whole Ethernet header"},
	[VN_SWITCH_DROP_SENDER] = {"drop_sender", "frames from it that nobody may have sent: from a group's address, or from none"},
	[VN_SWITCH_DROP_RESERVED] = {"drop_reserved", "frames from it to an address that no switch passes on, IEEE 802.1Q"},
	[VN_SWITCH_DROP_HOME] = {"drop_home", "frames from it to an address at the same port"},
	[VN_SWITCH_DROP_ISOLATED] = {"drop_isolated", "frames from it to a port that is isolated, as it is itself"},
	[VN_SWITCH_DROP_STORM] = {"drop_storm", "frames from it that were to be flooded beyond its limit"},
	[VN_SWITCH_DROP_MONITOR] = {"drop_monitor", "frames from it while it is the monitor"},
	[VN_SWITCH_DROP_HEADER] = {"drop_header", "frames from it with a virtio-net header that does not fit them"},
	[VN_SWITCH_DROP_LONG] = {"drop_long", "frames for it that are longer than its MTU"},
	[VN_SWITCH_DROP_FULL] = {"drop_full", "frames for it while it was full, and so was its queue"},
	[VN_SWITCH_DROP_DOWN] = {"drop_down", "frames for it when it was down, or its guest left"},
	[VN_SWITCH_DROP_IMPAIRED] = {"drop_impaired", "frames for it that its impairment lost"},
};

const char *vn_counter_name(int counter)
{
	return counter >= 0 && counter < VN_COUNTERS ? counters[counter].name : NULL;
}

const char *vn_counter_meaning(int counter)
{
	return counter >= 0 && counter < VN_COUNTERS ? counters[counter].meaning : NULL;
}

const char *vn_loop_counter_name(int counter)
{
	return counter >= 0 && counter < VN_LOOP_COUNTERS ? loop_counters[counter].name : NULL;
}

const char *vn_switch_counter_name(int counter)
{
	return counter >= 0 && counter < VN_SWITCH_COUNTERS ? switch_counters[counter].name : NULL;
}

const char *vn_switch_counter_meaning(int counter)
{
	return counter >= 0 && counter < VN_SWITCH_COUNTERS ? switch_counters[counter].meaning : NULL;
}
