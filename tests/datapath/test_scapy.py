"""Scapy on the other end: what it builds is taken, what is sent is dissected to the string's own fields.

port, vecnet ── src ═══ dst ── a raw or UDP socket, whose payload Scapy builds and dissects
"""

from __future__ import annotations

from typing import Any

from scapy.fields import ConditionalField, IntField, LongField, ShortField
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Packet, Raw

import vecnet
from tests.datapath.test_tunnels import Wire, drops, every_wire, opened
from tests.datapath.wires import frame, receive


class L2tpv3(Packet):
    """Static L2TPv3, RFC 3931 section 4.1, which Scapy has not; its fields depend on what both ends agreed on."""

    name = "L2TPv3"
    agreed: Any = None  # the vec string's transport
    fields_desc = [
        ConditionalField(ShortField("flags", 3), lambda packet: packet.agreed.udp),
        ConditionalField(ShortField("reserved", 0), lambda packet: packet.agreed.udp),
        IntField("session", 0),
        ConditionalField(IntField("cookie32", 0), lambda packet: packet.agreed.cookie_size == 4),
        ConditionalField(LongField("cookie64", 0), lambda packet: packet.agreed.cookie_size == 8),
        ConditionalField(IntField("counter", 0), lambda packet: packet.agreed.counter),
    ]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        return Ether


INNER = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01") / IP(src="10.0.0.2", dst="10.0.0.1") / UDP() / b"hello"


def header(transport: Any, *, sent: bool, number: int) -> Packet:
    """What stands before the frame, from the string's fields alone: `sent` by the port, or to it."""
    if isinstance(transport, vecnet.Gre):
        key = transport.tx_key if sent else transport.rx_key
        fields: dict[str, Any] = {"proto": 0x6558}
        if key is not None:
            fields |= {"key_present": 1, "key": key}
        if transport.sequence:
            fields |= {"seqnum_present": 1, "sequence_number": 0 if transport.pin_sequence else number}
        return GRE(**fields)
    cookie = transport.tx_cookie if sent else transport.rx_cookie
    fields = {"session": transport.tx_session if sent else transport.rx_session}
    if cookie is not None:
        fields[f"cookie{8 * transport.cookie_size}"] = cookie
    if transport.counter:
        fields["counter"] = 0 if transport.pin_counter else number
    L2tpv3.agreed = transport
    return L2tpv3(**fields)


@every_wire
def test_what_scapy_builds_is_taken(wire: Wire) -> None:
    transport = vecnet.parse(wire.device).transport
    with opened(wire) as (port, peer):
        for number in (1, 2, 77):
            peer.send(bytes(header(transport, sent=False, number=number) / INNER))
        assert receive(port, 3) == [bytes(INNER)] * 3
        assert not drops(port)


@every_wire
def test_what_is_sent_is_dissected_to_the_string_s_fields(wire: Wire) -> None:
    transport = vecnet.parse(wire.device).transport
    with opened(wire) as (port, peer):
        port.send([bytes(INNER), frame(1)])
        for number, inner in enumerate((bytes(INNER), frame(1)), 1):
            expected = header(transport, sent=True, number=number)
            seen = type(expected)(peer.recv())
            for field in expected.fields:
                assert seen.getfieldval(field) == expected.getfieldval(field), field
            assert bytes(seen.payload) == inner
            assert isinstance(seen.payload, Ether)
        assert seen[Raw].load == frame(1)[14:]
    assert not isinstance(seen.payload, (IP, IPv6))
