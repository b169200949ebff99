"""The traps of a vec string: how bad each is, how it shows in a guest, and what the generations do otherwise.

The severity is a claim about the guest, and the guest is asked:

    ok, note    the device comes up, and packets pass
    ignored     the device comes up
    fallback    the device comes up, with another value than the string gives
    drops       the device comes up, and no packet passes
    refused     the device is not there, or cannot be brought up
    panic       bringing the device up panics the kernel
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.uml.fetch import GENERATIONS
from vecnet.options import Severity

OK, NOTE, IGNORED, FALLBACK, DROPS, REFUSED, PANIC = Severity

# NN is the trap's number, and ADDR a MAC address with it. tNN is a tap that is up, dNN one that is down. FOLDER is one
# in which a switch listens.
TAP = "transport=tap,ifname=tNN"
RAW = "transport=raw,ifname=veth"
GRE, GRE_PEER = "transport=gre,src=127.2.NN.1,dst=127.2.NN.2", "transport=gre,src=127.2.NN.2,dst=127.2.NN.1"
GRE6, GRE6_PEER = "transport=gre,src=fd00::NN:1,dst=fd00::NN:2", "transport=gre,src=fd00::NN:2,dst=fd00::NN:1,v6=1"
ENDS = "transport=l2tpv3,src=127.2.NN.1,dst=127.2.NN.2"
IP = f"{ENDS},rx_session=1,tx_session=2"
IP_PEER = "transport=l2tpv3,src=127.2.NN.2,dst=127.2.NN.1,rx_session=2,tx_session=1"
UDP, UDP_PEER = f"{IP},udp=1,srcport=7,dstport=9", f"{IP_PEER},udp=1,srcport=9,dstport=7"
LONG = f"/tmp/{'x' * 103}"  # 108 bytes
HOST = "host"  # the other end is the host's interface


@dataclass(frozen=True)
class Outcome:
    """How bad a trap is, what is said of it, and how that shows in the guest.

    `shows` may have the keys mac, mtu, depth, device (its name), opens (an interface of the host) and, where that does
    not follow from the severity, up and packets; of a device that is alone in its guest also spins (whether the guest's
    processor has no rest), and again ("panic", or how it comes up after it was taken down). `says` is None where it is
    not the string's fault.
    """

    severity: Severity
    says: str | None = ""
    shows: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trap:
    """A string without its `vecN:`, its outcome, and other ones, each from a generation of kernels on."""

    string: str
    severity: Severity
    says: str | None = ""
    shows: dict[str, str] = field(default_factory=dict)
    peer: str = ""  # the string of the wire's other end
    since: dict[str, Outcome] = field(default_factory=dict)
    alone: bool = False  # it spoils the guest for other devices

    def outcome(self, generation: str) -> Outcome:
        outcome = Outcome(self.severity, self.says, self.shows)
        for name in GENERATIONS[: GENERATIONS.index(generation) + 1]:
            outcome = self.since.get(name, outcome)
        return outcome

    @property
    def has_own_guest(self) -> bool:
        return self.alone or any(self.outcome(name).severity is PANIC for name in GENERATIONS)

    @property
    def is_alike(self) -> bool:
        """Whether it has a guest of its own, which ends the same on every generation."""
        return self.has_own_guest and len({repr(self.outcome(name)) for name in GENERATIONS}) == 1

    def __str__(self) -> str:
        return self.string[:100]


TRAPS = [
    # the device's name
    Trap(f"vec0201:{TAP}", FALLBACK, "any base, and names it vec129", {"device": "vec129", "opens": "tNN"}),
    Trap(f"vec0x82:{TAP}", NOTE, "any base, and names it vec130", {"device": "vec130", "opens": "tNN"}),
    Trap(f"vec10000:{TAP}", FALLBACK, "the guest takes vec10000", {"device": "vec10000", "opens": "tNN"}),
    Trap(f"vec4294967295:{TAP}", FALLBACK, "names it vec-1", {"device": "vec-1", "opens": "tNN"}),
    Trap(f'"vecNN:{TAP}"', NOTE, "does not see the white space and quotes", {"opens": "tNN"}),
    Trap(f'{TAP}",mac=ADDR', REFUSED, "joins what follows up to the next one", alone=True),
    Trap(f"vec:{TAP}", REFUSED, "'vec' names no vector device, so the guest has none", {"device": "vec0"}),
    Trap(f"vecx:{TAP}", REFUSED, "'vecx' names no vector device, so the guest has none", {"device": "vecx"}),
    Trap(f"net0={TAP}", REFUSED, "no device is named, so the guest has none", {"device": "net0"}),
    Trap(f"vec131={TAP}", REFUSED, "without a ':' behind vec131", {"device": "vec131"}),
    # the tokens
    Trap(f"{TAP},gro=1,mac=ADDR", OK, shows={"mac": "ADDR", "mtu": "1500", "opens": "tNN"}),
    Trap(f"{TAP},gro=1,mac=ADDR,", OK, shows={"mac": "ADDR"}),
    Trap(f"{TAP},,mac=ADDR", NOTE, "an empty token is passed over", {"mac": "ADDR"}),
    Trap(f"{TAP},gro,mac=ADDR", IGNORED, "a token without a value is as good as absent", {"mac": "ADDR"}),
    Trap(f"{TAP},mac=", IGNORED, "a token without a value is as good as absent", {"mac": "random"}),
    Trap(f"{TAP},mac=,mac=ADDR", FALLBACK, "given twice, and the first one, mac=, wins", {"mac": "random"}),
    Trap(f"{TAP},mac=ADDR,mac=02:00:00:00:00:99", FALLBACK, "given twice, and the first one", {"mac": "ADDR"}),
    Trap(f"{TAP},colour=red,mac=ADDR", IGNORED, "tap knows no such option: it is ignored", {"mac": "ADDR"}),
    Trap(f"{TAP},Mac=ADDR", IGNORED, "write mac=ADDR", {"mac": "random"}),
    Trap(f"{TAP},mac=ADDR=1", REFUSED, "a second '=' in one value: the guest refuses the whole device"),
    Trap(f"{TAP},mac=ADDR{',x=1' * 17}", IGNORED, "tap knows no such option: it is ignored", {"mac": "ADDR"}),
    Trap(
        f"{TAP},mac=ADDR{',x=1' * 18}",
        REFUSED,
        "room for 20 tokens: it overwrites memory and refuses the device, or panics by chance",
        {"up": "no, or panic"},
        since={"7.2": Outcome(REFUSED, "room for 20 tokens, and refuses the device", {"up": "Invalid argument"})},
        alone=True,
    ),
    Trap(
        f"{TAP},mac=ADDR{',x=1' * 28}",
        REFUSED,
        "room for 20 tokens: it overwrites memory and refuses the device, or panics by chance",
        {"up": "no, or panic"},
        since={"7.2": Outcome(REFUSED, "room for 20 tokens, and refuses the device", {"up": "Invalid argument"})},
        alone=True,
    ),
    Trap(f"{TAP} ,mac=ADDR", IGNORED, "ends the string on a kernel's command line", {"mac": "random"}),
    # the transport
    Trap("ifname=tNN", REFUSED, "no transport is named, so opening the device fails: Invalid argument"),
    Trap("transport=tapfoo,ifname=tNN", FALLBACK, "compared by prefix: the guest opens tap", {"opens": "tNN"}),
    Trap("transport=TAP,ifname=tNN", REFUSED, "no transport 'TAP': opening the device fails: Invalid argument"),
    Trap("transport=vxlan,ifname=tNN", REFUSED, "no transport 'vxlan': opening the device fails: Invalid argument"),
    # the common options
    Trap(TAP, NOTE, "a random Ethernet address on every boot", {"mac": "random"}),
    Trap(f"{TAP},mac=ADDR", NOTE, "without gro the guest cuts large frames short", {"mac": "ADDR"}),
    Trap(f"{RAW},gro=off,mac=ADDR", NOTE, "ethtool -K veth tx off", {"mac": "ADDR"}),
    Trap(f"{TAP},gro=on,mac=ADDR", FALLBACK, "the guest falls back to its default", {"mac": "ADDR"}),
    Trap(f"{TAP},mac=03:00:00:00:00:01", FALLBACK, "is a multicast address", {"mac": "random"}),
    Trap(f"{TAP},mac=00:00:00:00:00:00", FALLBACK, "is not a unicast MAC address", {"mac": "random"}),
    Trap(f"{TAP},mac=02-00-00-00-00-01", FALLBACK, "is not a unicast MAC address", {"mac": "random"}),
    Trap(
        f"{TAP},mac=2:0:0:0:a:1",
        FALLBACK,
        "takes it for 02:00:00:00:0a:01",
        {"mac": "02:00:00:00:0a:01"},
        since={"7.2": Outcome(FALLBACK, "a random address", {"mac": "random"})},
    ),
    Trap(
        f"{TAP},mac=02:0:00:00:00:01",
        FALLBACK,
        "takes it for 02:00:00:00:00:01",
        {"mac": "02:00:00:00:00:01"},
        since={"7.2": Outcome(FALLBACK, "a random address", {"mac": "random"})},
    ),
    Trap(
        f"{TAP},mac=0x02:00:00:00:00:01",
        FALLBACK,
        "takes it for 02:00:00:00:00:01",
        {"mac": "02:00:00:00:00:01"},
        since={"7.2": Outcome(FALLBACK, "a random address", {"mac": "random"})},
    ),
    Trap(
        f"{TAP},mac=102:00:00:00:00:01",
        FALLBACK,
        "takes it for 02:00:00:00:00:01",
        {"mac": "02:00:00:00:00:01"},
        since={"7.2": Outcome(FALLBACK, "a random address", {"mac": "random"})},
    ),
    Trap(
        f"{TAP},mac=02:00:00:00:00:01x",
        FALLBACK,
        "a random address",
        {"mac": "random"},
        since={"7.2": Outcome(FALLBACK, "takes it for 02:00:00:00:00:01", {"mac": "02:00:00:00:00:01"})},
    ),
    Trap(
        f"{TAP},mac=02:00:00:00:00:001",
        FALLBACK,
        "takes it for 02:00:00:00:00:01",
        {"mac": "02:00:00:00:00:01"},
        since={"7.2": Outcome(FALLBACK, "takes it for 02:00:00:00:00:00", {"mac": "02:00:00:00:00:00"})},
    ),
    Trap(f"{TAP},mtu=576", NOTE, shows={"mtu": "576"}),
    Trap(f"{TAP},mtu=575", FALLBACK, "below 576 and from 65535 on the guest stays at 1500", {"mtu": "1500"}),
    Trap(f"{TAP},mtu=65521", NOTE, shows={"mtu": "65521"}),
    Trap(f"{TAP},mtu=65534", FALLBACK, "not a whole number from 576 to 65521", {"mtu": "65534"}),
    Trap(f"{TAP},mtu=65535", FALLBACK, "below 576 and from 65535 on the guest stays at 1500", {"mtu": "1500"}),
    Trap(f"{TAP},mtu=0x2328", FALLBACK, "the guest stays at 1500", {"mtu": "1500"}),
    Trap(f"{TAP},mtu=02000", NOTE, shows={"mtu": "2000"}),
    Trap(f"{RAW},depth=0x80", FALLBACK, "the guest falls back to its default", {"depth": "64"}),
    Trap(f"{RAW},depth=128", NOTE, shows={"depth": "128"}),
    Trap(
        f"{RAW},depth=1025",
        DROPS,
        "more than 1024 packets never move at once",
        {"depth": "1025", "packets": "not asked"},
    ),
    Trap(
        f"{GRE},depth=0",
        DROPS,
        "no packet moves, and it spins",
        {"spins": "yes", "again": "yes"},
        GRE_PEER,
        since={"6.12": Outcome(DROPS, "no packet moves, it spins, and panics", {"spins": "yes", "again": "panic"})},
        alone=True,
    ),
    Trap(f"{GRE},depth=70000", PANIC, "so large a queue cannot be had, and the guest kernel panics"),
    Trap(f"{TAP},depth=2000", FALLBACK, "a tap moves one packet per system call whatever it is", peer=HOST),
    Trap(f"{TAP},headroom=5000", FALLBACK, "the guest takes it all the same", peer=HOST),
    Trap(f"{GRE},headroom=65500", FALLBACK, "the guest takes it all the same", peer=GRE_PEER),
    Trap(f"{GRE},headroom=65504", PANIC, "with the first packet", peer=GRE_PEER),
    Trap(f"{GRE},vec=0", DROPS, "the guest never sends", {"spins": "yes", "again": "yes"}, GRE_PEER, alone=True),
    Trap(f"{UDP},vec=0", DROPS, "the guest never sends", {"spins": "yes", "again": "yes"}, UDP_PEER, alone=True),
    # tap, hybrid, raw, bess, fd
    Trap("transport=tap", FALLBACK, "the guest makes a tap with a random name", {"opens": "tap??????"}),
    Trap("transport=tap,ifname=tNN-abcdefghijklmno", FALLBACK, "for tNN-abcdefghijk", {"opens": "tNN-abcdefghijk"}),
    Trap("transport=hybrid", REFUSED, "hybrid needs ifname: opening the device fails: Invalid argument"),
    Trap("transport=raw", REFUSED, "raw needs ifname: opening the device fails: Invalid argument"),
    Trap("transport=raw,ifname=none/such", REFUSED, "opening the device fails: Network is unreachable"),
    Trap("transport=bess", REFUSED, "bess needs dst: opening the device fails: Invalid argument"),
    Trap(f"transport=bess,dst={LONG}", REFUSED, "a Unix socket's has at most 107"),
    Trap(f"transport=bess,src={LONG},dst=FOLDER/switch", IGNORED, "the guest's socket is bound to no path"),
    Trap("transport=fd", REFUSED, "fd needs fd: opening the device fails: Invalid argument"),
    Trap("transport=fd,fd=0x64", REFUSED, "opening the device fails: Invalid argument"),
    Trap("transport=fd,fd=999", REFUSED, None, {"up": "Network is unreachable"}),
    Trap("transport=fd,fd=-1", REFUSED, "opening the device fails: Invalid argument"),
    Trap("transport=tap,ifname=a/b", REFUSED, "opening the device fails: Invalid argument"),
    Trap("transport=hybrid,ifname=a/b", REFUSED, "opening the device fails: Invalid argument"),
    Trap("transport=tap,ifname=dNN", DROPS, None, {"spins": "yes", "again": "yes"}, HOST, alone=True),
    # vde
    Trap(
        "transport=vde",
        REFUSED,
        "opening the device fails: Invalid argument",
        {},
        HOST,
        since={"6.12": Outcome(DROPS, "finds no network, and every packet is lost", {"spins": "yes"})},
        alone=True,
    ),
    Trap(
        "transport=vde,vnl=vde:///none",
        REFUSED,
        None,
        {"up": "Invalid argument"},
        HOST,
        since={"6.12": Outcome(DROPS, None, {"spins": "yes"})},
        alone=True,
    ),
    Trap(
        "transport=vde,vnl=,mac=ADDR",
        REFUSED,
        "opening the device fails: Invalid argument",
        {},
        HOST,
        since={"6.12": Outcome(DROPS, "finds no network, and every packet is lost", {"spins": "yes"})},
        alone=True,
    ),
    # gre
    Trap(f"{GRE},rx_key=-1,tx_key=-2", NOTE, peer=f"{GRE_PEER},rx_key=-2,tx_key=-1"),
    Trap(f"{GRE},rx_key=0x10,tx_key=16", NOTE, peer=f"{GRE_PEER},rx_key=16,tx_key=16"),
    Trap(f"{GRE},rx_key=010,tx_key=9", FALLBACK, "the guest reads 8", peer=f"{GRE_PEER},rx_key=9,tx_key=8"),
    Trap(f"{GRE},rx_key=0xffffffff,tx_key=2", DROPS, "keys are dropped", peer=f"{GRE_PEER},rx_key=2,tx_key=-1"),
    Trap(
        f"{GRE},rx_key=0xffffffff,tx_key=0x80000000", DROPS, "keys are dropped", peer=f"{GRE_PEER},rx_key=1,tx_key=-1"
    ),
    Trap(f"{GRE},tx_key=2", DROPS, "the guest sends none and expects none", peer=f"{GRE_PEER},rx_key=2,tx_key=1"),
    Trap(f"{GRE},rx_key=1", PANIC, "rx_key without tx_key: opening the device fails and the guest kernel panics"),
    Trap(f"{GRE},rx_key=1,tx_key=0xffffffff", PANIC, "the parse fails, opening the device fails and the guest kernel"),
    Trap(f"{GRE},pin_sequence=1", IGNORED, "pin_sequence without sequence has no effect", peer=GRE_PEER),
    Trap(f"{GRE},sequence=2", NOTE, "the guest reads 2 as on", peer=f"{GRE_PEER},sequence=1"),
    Trap(f"{GRE},sequence=-1", FALLBACK, peer=GRE_PEER),
    Trap(f"{GRE},sequence=on", FALLBACK, "the guest falls back to its default", peer=GRE_PEER),
    Trap(f"{GRE6},v6=1", NOTE, peer=GRE6_PEER),
    Trap(
        GRE6, REFUSED, "without v6 the guest looks for IPv4 addresses, and opening the device fails: Invalid argument"
    ),
    Trap(f"{GRE6},v6=1x", DROPS, "the socket is opened with it and headers are formed without it", peer=GRE6_PEER),
    Trap(f"{GRE6},v6=x", REFUSED, "opening the device fails: Invalid argument"),
    Trap(f"{GRE6},v6=0x1", REFUSED, "the device cannot be opened, or no packet fits"),
    Trap(f"{GRE},v6=1", REFUSED, "v6=1 with the IPv4 address 127.2.NN.1: opening the device fails"),
    Trap("transport=gre,src=127.2.NN.1,dst=fd00::NN:2", REFUSED, "are of different families, so opening the device"),
    Trap("transport=gre,src=no..name,dst=127.2.NN.2", REFUSED, "opening the device fails: Invalid argument"),
    Trap("transport=gre,dst=127.2.NN.2", REFUSED, "gre needs src: opening the device fails: Invalid argument"),
    Trap("transport=gre,src=127.2.NN.1", REFUSED, "gre needs dst: opening the device fails: Invalid argument"),
    Trap(
        "transport=gre,src=127.131073,dst=127.2.0.2",
        FALLBACK,
        "takes it for 127.2.0.1",
        peer="transport=gre,src=127.2.0.2,dst=127.2.0.1",
    ),
    # l2tpv3
    Trap(
        f"{ENDS},rx_session=-1,tx_session=2",
        NOTE,
        peer=f"{GRE_PEER},rx_session=2,tx_session=-1".replace("gre", "l2tpv3"),
    ),
    Trap(f"{ENDS},rx_session=0xffffffff,tx_session=2", PANIC, "opening the device fails and the guest kernel panics"),
    Trap(f"{ENDS},rx_session=1,tx_session=0xffffffff", PANIC, "opening the device fails and the guest kernel panics"),
    Trap(
        f"{ENDS},rx_session=1", PANIC, "l2tpv3 needs tx_session: opening the device fails and the guest kernel panics"
    ),
    Trap(f"{ENDS},tx_session=2", PANIC, "l2tpv3 needs rx_session"),
    Trap("transport=l2tpv3,src=127.2.NN.1,rx_session=1,tx_session=2", REFUSED, "l2tpv3 needs dst"),
    Trap("transport=l2tpv3,dst=127.2.NN.2,rx_session=1,tx_session=2", REFUSED, "l2tpv3 needs src"),
    Trap(f"{ENDS},rx_session=1,tx_session=0", DROPS, "takes 0 for the control channel", {"packets": "not asked"}),
    Trap(f"{ENDS},rx_session=0,tx_session=2", DROPS, "takes 0 for the control channel", {"packets": "not asked"}),
    Trap(f"{IP},rx_cookie=0x10,tx_cookie=3", NOTE, peer=f"{IP_PEER},rx_cookie=3,tx_cookie=16"),
    Trap(f"{IP},rx_cookie=3", PANIC, "rx_cookie without tx_cookie: opening the device fails and the guest kernel"),
    Trap(
        f"{IP},tx_cookie=3", DROPS, "the guest sends none and expects none", peer=f"{IP_PEER},rx_cookie=3,tx_cookie=4"
    ),
    Trap(f"{IP},rx_cookie=3,tx_cookie=x", DROPS, "leaves garbage", peer=f"{IP_PEER},rx_cookie=4,tx_cookie=3"),
    Trap(f"{IP},rx_cookie=x,tx_cookie=3", DROPS, "leaves garbage", peer=f"{IP_PEER},rx_cookie=3,tx_cookie=4"),
    Trap(
        f"{IP},rx_cookie=4,tx_cookie=0x100000003",
        DROPS,
        "cookie64=1",
        peer=f"{IP_PEER},rx_cookie=0x100000003,tx_cookie=4,cookie64=1",
    ),
    Trap(f"{IP},counter=2", NOTE, "the guest reads 2 as on", peer=f"{IP_PEER},counter=1"),
    Trap(f"{IP},pin_counter=1", IGNORED, "pin_counter without counter has no effect", peer=IP_PEER),
    Trap(UDP, NOTE, peer=UDP_PEER),
    Trap(f"{IP},udp=1,src_port=7,dst_port=9", DROPS, "without srcport", {"spins": "yes"}, UDP_PEER, alone=True),
    Trap(f"{IP},udp=1,dstport=9", DROPS, "without srcport: the guest takes a port by chance", peer=UDP_PEER),
    Trap(
        f"{IP},udp=1,srcport=7",
        DROPS,
        "without dstport: no packet can be sent",
        {"spins": "yes", "again": "yes"},
        UDP_PEER,
        alone=True,
    ),
    Trap(f"{IP},srcport=7,dstport=9", REFUSED, "without udp=1: opening the device fails: Invalid argument"),
    Trap(f"{IP},udp=0x1,srcport=7,dstport=9", REFUSED, "the device cannot be opened, or no packet fits"),
    Trap(f"{IP},udp=0x1", REFUSED, "the device cannot be opened, or no packet fits", {"up": "yes"}, peer=IP_PEER),
    Trap(
        f"{IP},udp=1x,srcport=7,dstport=9",
        DROPS,
        "the socket is opened with it and headers are formed without it",
        peer=UDP_PEER,
    ),
    Trap(
        f"{IP},udp=1,srcport=65543,dstport=9",
        DROPS,
        "the rest of its division by 65536",
        {"packets": "pass"},
        peer=UDP_PEER,
    ),
    Trap(
        f"{IP},udp=1,srcport=7,dstport=65545",
        DROPS,
        "the rest of its division by 65536",
        {"packets": "pass"},
        peer=UDP_PEER,
    ),
    Trap(f"{IP},udp=1,srcport=0x7,dstport=9", REFUSED, "opening the device fails: Invalid argument"),
    Trap(f"{IP},udp=1,srcport=7,dstport=0x9", REFUSED, "opening the device fails: Invalid argument"),
    Trap(f"{IP},udp=x,srcport=7,dstport=9", REFUSED, "where a port makes opening the device fail"),
]

NUMBERED = list(enumerate(TRAPS, start=10))


def filled(text: str, number: int) -> str:
    return text.replace("NN", str(number)).replace("ADDR", f"02:00:00:00:01:{number:02x}")


def string(number: int, trap: Trap) -> str:
    text = filled(trap.string, number)
    return text if text.startswith(("vec", '"vec', "net")) else f"vec{number}:{text}"


def peer(number: int, trap: Trap) -> str:
    return f"vec{number}:{filled(trap.peer, number)}"


def device(number: int, trap: Trap) -> str:
    return trap.shows.get("device", f"vec{number}")
