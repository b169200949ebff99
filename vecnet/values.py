"""Kinds of values: how each is read from text, named to people, and described to a JSON Schema.

A vec string and a topology file are both text. What a value of each kind may be is said here once, for both.
`parse` takes the text and returns the value, or raises Refused with what is wrong and what to write instead.
"""

from __future__ import annotations

import ipaddress
import re
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Generic, TypeVar

from vecnet.errors import Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Schema = dict[str, object]  # JSON
T_co = TypeVar("T_co", covariant=True)

IFNAMSIZ = 16  # linux/if.h, with the closing NUL
UNIX_PATH_MAX = 108  # linux/un.h, with the closing NUL
MAX_ACCOUNT = 0xFFFFFFFE  # credentials(7): the number above it means "no change"

_TRUE = {"on", "true", "yes", "y", "1"}
_FALSE = {"off", "false", "no", "n", "0"}
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_V4_PREFIXED = rf"{_V4}/(3[0-2]|[12]?[0-9])"
_V6 = "(?=.*:.*:)[0-9a-fA-F:.]+"


@lru_cache(maxsize=4096)
def _address(text: str) -> Address:
    return ipaddress.ip_address(text)


class Kind(ABC, Generic[T_co]):
    """A kind of value. `expects` ends the sentence "… is not"."""

    expects = "a value"

    @abstractmethod
    def parse(self, text: str) -> T_co:
        """The value, in its canonical form. Raises Refused."""

    def accepts(self, text: str) -> bool:
        """Whether `parse` takes a text."""
        try:
            self.parse(text)
        except Refused:
            return False
        return True

    def schema(self) -> Schema:
        """What a JSON Schema says of it; a schema may take what `parse` refuses, and never the other way round."""
        return {"type": "string"}

    def _refuse(self, text: str) -> Refused:
        return Refused(f"{text!r} is not {self.expects}" if text else f"the value is empty, expected {self.expects}")


class Integer(Kind[int]):
    """A whole number, decimal or 0x…, from `low` to `high`."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    @property
    def expects(self) -> str:  # type: ignore[override]
        return f"a whole number from {self.low} to {_round(self.high)}"

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?(0|[1-9][0-9]{0,20}|0[xX][0-9a-fA-F]+)", text):
            raise self._refuse(text)
        value = int(text, 0)
        if not self.low <= value <= self.high:
            raise self._refuse(text)
        return value

    def schema(self) -> Schema:
        number = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [number, {"type": "string", "pattern": "^(0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)$"}]}


def _round(number: int) -> str:
    return hex(number) if number > 0xFFFF and (number + 1) & number == 0 else str(number)


class Flag(Kind[bool]):
    """On or off, in YAML 1.1's and 1.2's words and as 0 or 1."""

    expects = "on or off"

    def parse(self, text: str) -> bool:
        word = text.lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise self._refuse(text)

    def schema(self) -> Schema:
        return {"enum": [True, False, 0, 1, *sorted(_TRUE | _FALSE)]}


class Choice(Kind[str]):
    """One word of a few. Where "on" and "off" are among them, their YAML synonyms are too."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    @property
    def expects(self) -> str:  # type: ignore[override]
        return "one of " + ", ".join(self.words)

    def parse(self, text: str) -> str:
        word = text.lower()
        if word in _TRUE and "on" in self.words:
            return "on"
        if word in _FALSE and "off" in self.words:
            return "off"
        if word not in self.words:
            raise self._refuse(text)
        return word

    def schema(self) -> Schema:
        if {"on", "off"} <= set(self.words):
            return {"enum": [*dict.fromkeys([*self.words, True, False, 0, 1, *sorted(_TRUE | _FALSE)])]}
        return {"enum": list(self.words)}


class IntegerChoice(Kind[int]):
    """One number of a few, such as the lengths that a cookie may have."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self.numbers = numbers

    @property
    def expects(self) -> str:  # type: ignore[override]
        return "one of " + ", ".join(map(str, self.numbers))

    def parse(self, text: str) -> int:
        if text not in map(str, self.numbers):
            raise self._refuse(text)
        return int(text)

    def schema(self) -> Schema:
        return {"enum": [*self.numbers, *map(str, self.numbers)]}


_PLAIN = re.compile(r"[A-Za-z0-9_.:/-]+")  # most words; the others are looked at letter by letter


class Word(Kind[str]):
    """Any text that is not empty and that a vec string can carry."""

    expects = "a text"

    def parse(self, text: str) -> str:
        if not text:
            raise self._refuse(text)
        if _PLAIN.fullmatch(text):
            return text
        for char in text:
            why = _unfit(char)
            if why:
                raise Refused(f"{text!r} holds a {char!r}, {why}", "choose a name without it")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1, "pattern": r'^[^,="\s]+$'}


def _unfit(char: str) -> str:
    """Why a vec string cannot carry a character; empty where it can."""
    if char in ",=":
        return "which a vec string cannot carry"
    if char == '"':
        return "which joins words on a kernel's command line"
    if ends_word(char):
        return "at which a kernel's command line ends the string"
    return "" if char.isprintable() else "which cannot be printed"


def ends_word(char: str) -> bool:
    """Whether a kernel's command line ends a word at `char`: at white space, to which lib/ctype.c counts byte 0xa0."""
    return char in " \t\n\v\f\r" or b"\xa0" in char.encode(errors="surrogatepass")


_PLAIN_NAME = re.compile(f"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{IFNAMSIZ - 2}}}")  # … and most interfaces' names


class IfName(Word):
    """The name of a network interface (net/core/dev.c, dev_valid_name)."""

    expects = f"an interface name of 1 to {IFNAMSIZ - 1} bytes"

    def parse(self, text: str) -> str:
        if _PLAIN_NAME.fullmatch(text):
            return text
        super().parse(text)
        size = len(text.encode())
        if size >= IFNAMSIZ:
            message = f"{text!r} has {size} bytes, and an interface name has at most {IFNAMSIZ - 1}"
            raise Refused(message, "shorten it")
        if text in (".", "..") or set(text) & set("/:"):
            raise Refused(f"{text!r} is not {self.expects} without '/' and ':'")
        if "%" in text:
            raise Refused(f"{text!r} holds a '%', for which the kernel puts a number", "choose a name without it")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1, "maxLength": IFNAMSIZ - 1, "pattern": r'^[^,="\s/:%]+$'}


class NewIfName(IfName):
    """The name of an interface that is to be made.

    It is neither the loopback's, nor what sysctl(8) calls all interfaces, and those to come (net/ipv4/devinet.c). A
    shell takes it as it stands, since people and scripts paste it into commands (sh(1), Quoting).
    """

    _RESERVED = ("lo", "all", "default")
    _SHELLS_OWN = frozenset("$`;|&<>()[]{}*?!#~^'\\")
    PATTERN = (  # for a JSON Schema
        rf"(?!-|({'|'.join(_RESERVED)})$)"
        rf"""[^,="\s/:%$`;|&<>()\[\]{{}}*?!#~^'\\]{{1,{IFNAMSIZ - 1}}}"""
    )

    def parse(self, text: str) -> str:
        if _PLAIN_NAME.fullmatch(text) and text not in self._RESERVED:
            return text
        super().parse(text)
        if not self._SHELLS_OWN.isdisjoint(text):
            char = next(char for char in text if char in self._SHELLS_OWN)
            raise Refused(f"{text!r} holds a {char!r}, a sign of the shell's own", "choose a name without it")
        if text.startswith("-"):
            raise Refused(f"{text!r} begins with a '-', which programs take for an option", "begin with a letter")
        if text in self._RESERVED:
            raise Refused(f"the kernel keeps the interface name {text!r} for itself", "choose another one")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{self.PATTERN}$"}


NAME_PATTERN = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_NAME = re.compile(NAME_PATTERN)


class Name(Kind[str]):
    """The name of a topology, a link, a guest or a network namespace: it stands in marks and in shell words."""

    expects = "a name of letters, digits, '-', '_' and '.'"

    def parse(self, text: str) -> str:
        if not _NAME.fullmatch(text):
            raise self._refuse(text)
        return text

    def schema(self) -> Schema:
        return {"type": ["string", "integer"], "pattern": f"^{NAME_PATTERN}$"}


class FilterText(Kind[str]):
    """A filter in pcap's language, pcap-filter(7), which tcpdump reads later: any text that is one line."""

    expects = "a filter in pcap's language such as 'arp or (ip and tcp port 80)'"

    def parse(self, text: str) -> str:
        if not text.strip() or not text.isprintable():
            raise self._refuse(text)
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"\S"}


class UnixPath(Word):
    """The path of a Unix domain socket (unix(7))."""

    expects = f"the path of a Unix socket, of at most {UNIX_PATH_MAX - 1} bytes"

    def parse(self, text: str) -> str:
        super().parse(text)
        size = len(text.encode())
        if size >= UNIX_PATH_MAX:
            message = f"the path {text!r} has {size} bytes, and a Unix socket's has at most {UNIX_PATH_MAX - 1}"
            raise Refused(message, "choose a shorter folder, such as /run")
        return text

    def schema(self) -> Schema:
        return {**super().schema(), "maxLength": UNIX_PATH_MAX - 1}


_MAC = re.compile("[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


class Mac(Kind[str]):
    """A unicast Ethernet address, xx:xx:xx:xx:xx:xx; lower case once parsed."""

    expects = "a unicast MAC address such as 02:00:00:00:00:01"

    def parse(self, text: str) -> str:
        if not _MAC.fullmatch(text):
            raise self._refuse(text)
        if int(text[1], 16) & 1:
            raise Refused(f"{text} is a multicast address", "clear the lowest bit of its first byte")
        if not text.strip("0:"):
            raise self._refuse(text)
        return text.lower()

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$"}


class IpAddress(Kind[str]):
    """An IPv4 or IPv6 address, canonical once parsed."""

    expects = "an IPv4 or IPv6 address"

    def parse(self, text: str) -> str:
        if re.fullmatch(_V4, text):
            return text  # which is canonical as it stands
        if "%" in text:
            raise Refused(f"{text!r} has a scope, which names an interface", "use an address of global scope")
        try:
            return str(_address(text))
        except ValueError:
            raise self._refuse(text) from None

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({_V4}|{_V6})$"}


class Host(Word):
    """An outer address in a vec string: IPv4, IPv6, or a name that the guest resolves when it opens the device."""

    expects = "an IPv4 or IPv6 address, or a host name"

    def parse(self, text: str) -> str:
        if re.fullmatch(_V4, text):
            return text  # which is canonical as it stands
        super().parse(text)
        try:
            return str(_address(text))
        except ValueError:
            pass
        if not re.fullmatch(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?", text) or (
            re.fullmatch(r"[0-9.]+", text)
        ):
            raise self._refuse(text)
        return text


class IpInterface(Kind[str]):
    """An address with its prefix, 10.0.0.1/24."""

    expects = "an address with its prefix length, such as 10.0.0.1/24"

    def parse(self, text: str) -> str:
        if re.fullmatch(_V4_PREFIXED, text):
            return text
        if "%" in text:
            raise Refused(f"{text!r} has a scope, which follows from the interface", "write it without '%'")
        try:
            if not re.search(r"/[0-9]+$", text):
                raise ValueError(text)
            return str(ipaddress.ip_interface(text))
        except ValueError:
            raise self._refuse(text) from None

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({_V4_PREFIXED}|{_V6}/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"}


class Account(Kind[str]):
    """The name or number of a user or group; looked up on the host when it is needed."""

    expects = "a user's or group's name or number"

    def parse(self, text: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?", text):
            raise self._refuse(text)
        if text.isdigit() and (len(text) > 10 or int(text) > MAX_ACCOUNT):
            raise Refused(f"{text} is larger than a user's or group's number", f"write at most {MAX_ACCOUNT}")
        return text

    def schema(self) -> Schema:
        number = {"minimum": 0, "maximum": MAX_ACCOUNT}
        return {"type": ["string", "integer"], **number, "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$"}


KERNEL_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:[.+_~-][A-Za-z0-9.+_~-]*)?")


class KernelName(Kind[str]):
    """A kernel's version, or the path of its binary."""

    expects = "a kernel's version, such as 7.2, or the path of its binary"

    def parse(self, text: str) -> str:
        if not text or not text.isprintable() or (text[0].isdigit() and not KERNEL_VERSION.fullmatch(text)):
            raise self._refuse(text)
        return text

    def schema(self) -> Schema:
        return {"type": ["string", "number"], "minLength": 1}


class FreeText(Kind[str]):
    """Any text that is not empty: names and paths that never enter a vec string."""

    expects = "a text"

    def parse(self, text: str) -> str:
        if not text or not text.isprintable():
            raise self._refuse(text)
        return text

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}


def is_v6(host: str) -> bool | None:
    """Whether `host` is an IPv6 literal; None for a name, of which only the guest will know."""
    try:
        return _address(host).version == 6
    except ValueError:
        return None
