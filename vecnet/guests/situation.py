"""The situations that a vec string can bring a guest into, and one case of such a situation.

Who reads a string knows what was meant and names the situation; a generation's table says what the guest does then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from vecnet.records import record


class Situation(Enum):
    """What is amiss, or worth a word; in braces the words that a table's sentence may use."""

    # the string around its options
    UNSEEN = "white space and quotes around the string"
    QUOTE = "a quote within the string"
    SPACE = "white space within the string: {char}, {before}"
    NO_DEVICE = "nothing names a device"
    NOT_A_DEVICE = "the text before the colon names no vector device: {name}"
    NO_COLON = "no colon behind the device: {name}"
    LARGE_UNIT = "a device's number above those of vecnet: {name}, {number}, {last}"
    OTHER_BASE = "a device's number in another base, which makes it another one: {number}"
    SAME_NUMBER = "a device's number in another base, or with leading zeros: {number}"
    TOKENS = "more tokens than there is room for"
    SECOND_EQUALS = "a second '=' in one value"
    NOTHING = "nothing between two commas"
    NO_VALUE = "a token without a value"
    TWICE = "an option for the second time, with another value: {first}"
    REPEATED = "an option for the second time, with the same value: {first}"
    UNKNOWN = "an option that the transport does not have"
    UNREAD = "an option without a transport"
    NO_TRANSPORT = "no transport is named"
    NOT_A_TRANSPORT = "there is no such transport"
    PREFIX = "a transport's name with something behind it: {name}"

    # one option's value
    UNREADABLE = "the guest can make nothing of the value"
    UNREADABLE_TOO = "the guest can make nothing of the value, nor of that of the option which it reads before it"
    UNREADABLE_DEFAULT = "the guest can make nothing of the value, and the default is what was meant: {text}"
    OUTSIDE = "the guest reads a number, but none that the option may have: {number}"
    MISREAD = "the guest takes the text for another value: {value}"
    OCTAL = "a leading 0 makes a number octal: {number}"
    ANY_NUMBER = "a flag with a number other than 0 and 1: {number}"
    OPENED_WITH = "a flag that is on in base 10 alone"
    FORMED_WITH = "a flag that is off in base 10 alone"
    MISSING = "an option that is needed is not there"

    # several options
    ALONE = "an option without the other of its pair"
    IDLE = "an option that needs another one to have an effect"
    FAMILIES = "two addresses of different families"
    NOT_V6 = "IPv6 is asked for with an IPv4 address"
    TOO_LONG = "a value with more bits than are sent"
    PORTS = "UDP ports without UDP"
    NO_MAC = "no Ethernet address is given"
    SMALL_BUFFERS = "receive buffers that large frames do not fit into"
    ONE_AT_A_TIME = "a tunnel that is to move one packet per system call"
    DEEP = "a queue of more packets than the kernel's own limit for a turn"
    IFUP = "a program that is to bring the interface up"
    UNCLEARED = "an option that is off, in memory that the driver does not clear"
    UNCLEARED_PIN = "a pin that is off, in memory that the driver does not clear"
    HELPER = "a program that the guest runs beside itself"
    FAILED_OPEN = "opening the device fails"


@record(frozen=True, slots=True)
class Case:
    """One case of a situation: the option that it is about, how the sentence begins, and what to write instead.

    `options` are those that it follows from, where they are several; `words` are for the table's sentence.
    """

    situation: Situation
    option: str = ""
    lead: str = ""
    instead: str = ""
    options: tuple[str, ...] = ()
    words: Mapping[str, object] = field(default_factory=dict)
