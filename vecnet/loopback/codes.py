"""What can fail on a wire, and what was found of its causes: a code for each, which `vecnet explain` explains.

Codes are for good: scripts look for them. A new kind of failure gets a new one, and none is used for another kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """A kind of failure, or of cause. The first part is what probes see, the second what a diagnosis finds."""

    NOT_OPENED = "not-opened"
    WIRE_GONE = "wire-gone"
    NO_FRAME = "no-frame"
    LOST = "lost"
    CUT = "cut"
    CHANGED = "changed"
    DOUBLED = "doubled"
    REORDERED = "reordered"
    TAG_LOST = "tag-lost"
    NO_ECHO = "no-echo"
    TCP_FAILED = "tcp-failed"
    TCP_CHANGED = "tcp-changed"
    TCP_RESENT = "tcp-resent"
    SHORT_BURST = "short-burst"
    NOT_IMPAIRED = "not-impaired"
    NOT_FILTERED = "not-filtered"
    NO_CROSSING = "no-crossing"
    NO_GATEWAY = "no-gateway"
    NO_LEASE = "no-lease"
    WRONG_LEASE = "wrong-lease"
    NO_STACK = "no-stack"
    NOT_EXPECTED = "not-expected"
    WORSE = "worse"
    MEMORY_GROWS = "memory-grows"
    DESCRIPTORS_GROW = "descriptors-grow"
    DROPS_GROW = "drops-grow"

    MISSING = "missing"
    DIFFERS = "differs"
    NO_PLAN = "no-plan"
    DROPPED = "dropped"
    NOT_SENT = "not-sent"
    MISFIT = "misfit"
    LOST_ON_THE_WAY = "lost-on-the-way"
    NOT_TAKEN = "not-taken"
    SHORT_QUEUE = "short-queue"
    NO_ARP = "no-arp"
    NO_NEIGHBOUR = "no-neighbour"
    WRONG_NEIGHBOUR = "wrong-neighbour"
    WRONG_ROUTE = "wrong-route"
    FILTER = "filter"
    NARROW_WAY = "narrow-way"


@dataclass(frozen=True)
class Explained:
    """Sentences: what it means, how it comes about, how it is mended."""

    means: str
    comes: str
    mend: str


CODES = {
    Code.NOT_OPENED: Explained(
        "An end of the wire cannot be opened, so no guest could either.",
        "Its interface, socket, address or program is not there, belongs to another user, or refuses the string.",
        "Do what the sentence says; `vecnet up FILE` makes what is missing, `vecnet doctor FILE` says what the machine "
        "lacks.",
    ),
    Code.WIRE_GONE: Explained(
        "The wire went away while a probe was running on it.",
        "Somebody took the interface down or deleted it, a program at its end ended, or an address was removed.",
        "See with `vecnet status FILE` what is there, and run `vecnet up FILE` again.",
    ),
    Code.NO_FRAME: Explained(
        "Nothing that one end sends arrives at the other.",
        "The ends do not fit each other (key, session, address, port), an interface is down, or something drops all.",
        "Look at the codes beside it: the diagnosis names the cause.",
    ),
    Code.LOST: Explained(
        "Some frames arrive and others do not.",
        "A queue overflows, frames of some sizes do not fit on the way, or the path itself loses them.",
        "See which sizes are named: large ones speak of an MTU on the way, all sizes of a queue or the path. A wire "
        "that may lose some has `expect: {loss: 1%}`.",
    ),
    Code.CUT: Explained(
        "A frame arrives shorter than it was sent.",
        "The receiver's buffers are smaller than the sender's frames: the MTUs of the ends differ.",
        "Give both ends one `mtu`; `vecnet plan FILE` shows where the host has another.",
    ),
    Code.CHANGED: Explained(
        "A frame arrives with other bytes than were sent.",
        "Something on the way rewrites frames (addresses, checksums, tags), or an end reads the headers otherwise.",
        "Keep the packets with `--pcap DIR`, and compare the inner sides of both ends.",
    ),
    Code.DOUBLED: Explained(
        "A frame arrives more than once.",
        "Two ways lead to the same end: a loop of bridges, two tunnels, or a switch that sends a frame out twice.",
        "Look for a second way between the ends; `vecnet graph FILE` draws them all.",
    ),
    Code.REORDERED: Explained(
        "Frames arrive in another order than they were sent.",
        "Several queues or paths carry one wire, or something delays some of its frames.",
        "Give the wire one queue, or take what delays (`tc qdisc show`) off it.",
    ),
    Code.TAG_LOST: Explained(
        "A frame with a VLAN's tag arrives without it.",
        "The receiving interface takes tags out of frames, and nobody puts them back.",
        "Turn it off: `ethtool -K IFNAME rxvlan off`.",
    ),
    Code.NO_ECHO: Explained(
        "A real IP stack gets no answer to an echo request, though frames pass.",
        "Addresses lie in different networks, a neighbour or a route is wrong, or a filter drops IP packets alone.",
        "Look at the codes beside it, and at the addresses (`ip`) of both ends in the topology.",
    ),
    Code.TCP_FAILED: Explained(
        "A TCP connection between real IP stacks is refused, breaks, or stands still.",
        "Large or offloaded frames do not pass though small ones do, or a filter drops TCP.",
        "See whether `mtu` and `ping` pass, and whether an offload (`gro`, `tso`) is on where the wire has none.",
    ),
    Code.TCP_CHANGED: Explained(
        "A TCP connection carried other bytes than were sent.",
        "A checksum was offloaded and never computed, so that spoilt packets were taken.",
        "Turn checksum offload off at the host's interface, `ethtool -K IFNAME tx off`, and report it.",
    ),
    Code.TCP_RESENT: Explained(
        "All bytes arrived, and only because TCP sent again what a port had dropped.",
        "The host hands the guest frames that it cannot take: larger than its buffers, or with open checksums.",
        "Let `vecnet up FILE` set the interface's offloads; without `gro: on` a guest takes no large frames.",
    ),
    Code.SHORT_BURST: Explained(
        "The wire loses frames of a burst that a guest sends at once.",
        "A queue on the way holds fewer packets than the guest's `depth`.",
        "Lengthen the queue (`ip link set IFNAME txqueuelen N`, `sysctl net.core.rmem_max`), or lower `depth`.",
    ),
    Code.NOT_IMPAIRED: Explained(
        "The impairment that a link declares is not what is measured.",
        "Something else loses or delays frames as well, or the machine is too busy to keep the times.",
        "Try it on a quiet machine, and without the `impair:` to see what the wire does by itself.",
    ),
    Code.NOT_FILTERED: Explained(
        "A guest's filter lets another set of frames pass than the link's `filter:` says.",
        "The file that its `bpffile=` names is an older one's, or somebody changed it.",
        "Have `vecnet up FILE` write it again, and start the guest anew.",
    ),
    Code.NO_CROSSING: Explained(
        "A bridge does not carry frames from one member's guest to another's.",
        "A member is isolated or still learning, or br_netfilter hands bridged packets to a filter that drops them.",
        "See `bridge -d link`, and `sysctl net.bridge.bridge-nf-call-iptables`.",
    ),
    Code.NO_GATEWAY: Explained(
        "A program outside does not say where its gateway is.",
        "It has not come up, or has another network than the topology says.",
        "Read what it says under `vecnet serve FILE`, and compare its version with `vecnet doctor FILE`.",
    ),
    Code.NO_LEASE: Explained(
        "A program outside offers no address.",
        "Its DHCP server is off, or it took longer than ten seconds.",
        "Give the guest a fixed address, or see what the program says under `vecnet serve FILE`.",
    ),
    Code.WRONG_LEASE: Explained(
        "A program outside offers an address of another network than its own.",
        "It was started with other options than the topology's.",
        "See its options under `vecnet serve FILE`, and state the guest's network at the end outside.",
    ),
    Code.NO_STACK: Explained(
        "A real IP stack refused what a probe asked of it.",
        "The interface, its address or its route is not there as the topology says.",
        "Compare `ip addr` and `ip route` with the topology, and run `vecnet up FILE` again.",
    ),
    Code.NOT_EXPECTED: Explained(
        "What was measured misses what the topology expects: `expect:` at the link, or in `defaults`.",
        "The wire, the machine or what else runs on it is slower than the file says, or the file asks for too much.",
        "Try again on a quiet machine, with `--link` that one alone; then mend the wire, or the number at the place.",
    ),
    Code.WORSE: Explained(
        "A figure is worse than in the run before, the `--baseline`, by more than either run's spread and a quarter.",
        "Something changed between the runs: the kernel, the topology, vecnet, or what else the machine does.",
        "Try again on a quiet machine; if it stays, look for what changed, or keep a new baseline with `--json`.",
    ),
    Code.MEMORY_GROWS: Explained(
        "A process takes more and more memory, round after round of `--for`.",
        "It keeps something of each frame, connection or link: vecnet itself, or who serves the topology's switches.",
        "Run it for longer, to see whether it goes on growing; if it does, please report it with the report's JSON.",
    ),
    Code.DESCRIPTORS_GROW: Explained(
        "A process has more and more descriptors open, round after round of `--for`.",
        "It does not close what it opens for a link: vecnet itself, or who serves the topology's switches.",
        "See which by `ls -l /proc/PID/fd` while it runs, and please report it.",
    ),
    Code.DROPS_GROW: Explained(
        "Ports drop frames, or interfaces count errors, in later rounds of `--for` and not in the first.",
        "Something else sends to the wire's addresses, a queue is shorter than it was, or the machine is overloaded.",
        "See which counter the sentence names; the reference has a page with every counter and its cause.",
    ),
    Code.MISSING: Explained(
        "An interface that the topology wants is not there.",
        "`vecnet up` has not been run, or somebody deleted or renamed it.",
        "Run `vecnet up FILE`.",
    ),
    Code.DIFFERS: Explained(
        "An interface is there and is not as the topology says.",
        "Somebody changed it by hand, or the file has changed since `vecnet up`.",
        "Run `vecnet plan FILE` to see all of it, and `vecnet up FILE` to mend it.",
    ),
    Code.NO_PLAN: Explained(
        "The host cannot be made what the topology says, so it cannot be compared with it.",
        "Something that is not vecnet's has the place of what it would make.",
        "Do what the sentence says; `vecnet plan FILE` says it, too.",
    ),
    Code.DROPPED: Explained(
        "A port counted frames that it refused, with the cause that its counter has.",
        "Headers, keys, checksums or sizes are not what the string says.",
        "Mend what the sentence names; the reference has a page with every counter and its cause.",
    ),
    Code.NOT_SENT: Explained(
        "What the sender sends is seen on no interface.",
        "There is no route to the other end, or the kernel refuses the packets.",
        "See `ip route get ADDRESS` for the tunnel's other end.",
    ),
    Code.MISFIT: Explained(
        "The sender's packets are not what the receiving string expects.",
        "The strings of the two ends were not made together: a key, session, cookie, port or address differs.",
        "Take both strings from one topology, `vecnet args FILE`; each end states only what is its own.",
    ),
    Code.LOST_ON_THE_WAY: Explained(
        "The sender's packets are right, are seen on the way, and do not reach the receiver.",
        "A packet filter, reverse path filtering or an IPsec policy drops them.",
        "See `nft list ruleset` and `sysctl net.ipv4.conf.all.rp_filter`.",
    ),
    Code.NOT_TAKEN: Explained(
        "The guest's packets are seen on the way, and the host's tunnel takes none of them.",
        "The host's interface has another key, session or address than the guest's string.",
        "Run `vecnet up FILE`, which makes the interface anew where it differs.",
    ),
    Code.SHORT_QUEUE: Explained(
        "The host's interface holds fewer packets than a guest takes at once.",
        "`depth` is larger than the interface's `txqueuelen`.",
        "Run the command that the sentence gives, or lower `depth`.",
    ),
    Code.NO_ARP: Explained(
        "The host's interface does not look for neighbours.",
        "It has the flag NOARP.",
        "Run `ip link set IFNAME arp on`.",
    ),
    Code.NO_NEIGHBOUR: Explained(
        "The host asks for the guest's address and nobody answers.",
        "The guest has another address, or broadcast frames do not pass.",
        "Compare the guest's `ip` in the topology with what it has, and see whether `frames` passes.",
    ),
    Code.WRONG_NEIGHBOUR: Explained(
        "The host holds the guest's address to be at another Ethernet address.",
        "Two guests have one address, or a neighbour was set by hand.",
        "Run `ip neigh del ADDRESS dev IFNAME`, and look for the second one that has the address.",
    ),
    Code.WRONG_ROUTE: Explained(
        "The host's way to the guest does not go by the link's interface.",
        "Another route or a rule is more exact, or the interface has no address of the guest's network.",
        "See `ip route get ADDRESS` and `ip rule`.",
    ),
    Code.FILTER: Explained(
        "The host has a packet filter that drops packets, and that may have dropped these.",
        "A firewall of nftables, or a filter of `tc` on the interface.",
        "Let the link's packets pass in the rule that is named, or try without it.",
    ),
    Code.NARROW_WAY: Explained(
        "The way between two hosts takes smaller packets than the topology says, and full frames have no room in it.",
        "A tunnel, a VPN or an interface on the way has a smaller MTU; what is larger is dropped, often in silence.",
        "Give `mtu:` at one of the two hosts in the topology, as the sentence says, or widen the way.",
    ),
}
