"""The strings of the kernel's HOWTO (Documentation/virt/uml/user_mode_linux_howto_v2.rst), through `vecnet check`.

Each stands here as it is printed there, and with its placeholders filled in.
"""

from __future__ import annotations

import pytest

from tests.cli.command import vecnet
from vecnet.transports import TRANSPORTS, Transport

L2TP = (
    "vec0:transport=l2tpv3,udp=1,src=127.0.0.1,dst=127.0.0.1,srcport=1707,dstport=1706,depth=128,"
    "rx_session=0xffffffff,tx_session=0xffff"
)
L2TP_MENDED = (
    "vec0:transport=l2tpv3,src=127.0.0.1,dst=127.0.0.1,udp=1,srcport=1707,dstport=1706,rx_session=-1,tx_session=65535,"
    "depth=128"
)

# the string: the exit status, something that is said, the mended string (None: what was meant cannot be told)
STRINGS: dict[str, tuple[int, str, str | None]] = {
    'vecX:transport="Transport Name",option=value,option=value,...,option=value': (2, "there is no transport", None),
    "vecX:transport=tap,ifname=tap0,depth=128,gro=1": (
        2,
        "'vecX' names no vector device, so the guest has none; begin with vec0:",
        "vec0:transport=tap,ifname=tap0,depth=128,gro=1",
    ),
    "vecX:transport=hybrid,ifname=tap0,depth=128,gro=1": (
        2,
        "'vecX' names no vector device",
        "vec0:transport=hybrid,ifname=tap0,depth=128,gro=1",
    ),
    "vecX:transport=raw,ifname=p-veth0,depth=128,gro=1": (
        2,
        "'vecX' names no vector device",
        "vec0:transport=raw,ifname=p-veth0,depth=128,gro=1",
    ),
    "vecX:transport=gre,src=$src_host,dst=$dst_host": (2, "'$src_host' is not an IPv4 or IPv6 address", None),
    "vec0:transport=l2tpv3,udp=1,src=$src_host,dst=$dst_host,srcport=$src_port,dstport=$dst_port,depth=128,"
    "rx_session=0xffffffff,tx_session=0xffff": (2, "panic     rx_session=0xffffffff", None),
    "vecX:transport=bess,src=$unix_src,dst=$unix_dst": (
        2,
        "'vecX' names no vector device",
        "vec0:transport=bess,dst=$unix_dst,src=$unix_src",
    ),
    # with a number, and addresses as in the HOWTO's examples of the host's side
    "vec0:transport=tap,ifname=tap0,depth=128,gro=1": (0, "no mac: the guest has a random Ethernet address", None),
    "vec0:transport=hybrid,ifname=tap0,depth=128,gro=1": (0, "no mac", None),
    "vec0:transport=raw,ifname=p-veth0,depth=128,gro=1": (0, "no mac", None),
    "vec0:transport=gre,src=192.168.129.1,dst=192.168.128.1": (0, "no mac", None),
    "vec0:transport=bess,src=/tmp/uml.sock,dst=/tmp/bess.sock": (
        0,
        "no mac",
        "vec0:transport=bess,dst=/tmp/bess.sock,src=/tmp/uml.sock",
    ),
    L2TP: (
        2,
        "panic     rx_session=0xffffffff  the parse fails, opening the device fails and the guest kernel panics",
        L2TP_MENDED,
    ),
    # the session of its `ip l2tp` lines, at both ends
    L2TP.replace("0xffff", "0xffffffff").replace("0xffffffffffff", "0xffffffff"): (
        2,
        "panic     tx_session=0xffffffff",
        L2TP_MENDED.replace("65535", "-1"),
    ),
    # its options as it describes them: a list of two ports, a key's other name, a MAC of five bytes, "0/1" and "[0,1]"
    L2TP.replace("srcport", "src_port").replace("dstport", "dst_port").replace("0xffffffff", "1"): (
        2,
        "ignored   dst_port=1706      l2tpv3 knows no such option: it is ignored; write dstport=1706",
        L2TP_MENDED.replace("-1", "1"),
    ),
    "vec0:transport=gre,src=192.168.129.1,dst=192.168.128.1,rx_key=1,txkey=1": (
        2,
        "panic                        rx_key without tx_key",
        "vec0:transport=gre,src=192.168.129.1,dst=192.168.128.1,rx_key=1,tx_key=1",
    ),
    "vec0:transport=tap,ifname=tap0,mac=XX:XX:XX:XX:XX": (2, "the guest uses a random address", None),
    "vec0:transport=tap,ifname=tap0,gro=[0,1]": (2, "'[0' is not on or off", None),
    "vec0:transport=raw,ifname=p-veth0,bpfflash=0/1": (2, "'0/1' is not on or off", None),
    "vec0:transport=tap,ifname=tap0,vec=0": (0, "no mac", None),
}


@pytest.mark.parametrize("string", STRINGS)
def test_a_string_of_the_howto(string: str) -> None:
    status, said, mended = STRINGS[string]
    done = vecnet("check", string)
    assert done.returncode == status
    assert said in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == string
    last = lines[-1].strip()
    if mended:
        assert last == f"{'mended' if status else 'canonical'}: {mended}"
        again = vecnet("check", mended)
        assert again.returncode == 0, again.stdout
    else:
        assert ("cannot be told" in last) == bool(status)
    assert not done.stderr


COMMON = "depth mac gro mtu headroom vec"
OPTIONS = {
    "tap": "ifname",
    "hybrid": "ifname",
    "raw": "ifname bpffile bpfflash",
    "gre": "src dst v6 rx_key tx_key sequence pin_sequence",
    "l2tpv3": "src dst srcport dstport v6 udp rx_session tx_session rx_cookie tx_cookie cookie64 counter pin_counter",
    "bess": "src dst",
    "fd": "fd",
    "vde": "vnl descr port mode group",
}


def test_every_option_of_the_howto() -> None:
    assert set(OPTIONS) == set(TRANSPORTS)
    assert list(Transport.options()) == COMMON.split()
    for name, options in OPTIONS.items():
        beyond = {"ifup"} if "ifname" in options else set()  # read by the driver, and not in the HOWTO
        assert set(TRANSPORTS[name].options()) == set(f"{COMMON} {options}".split()) | beyond
