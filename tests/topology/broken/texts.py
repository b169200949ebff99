"""Texts that broken topologies are made of."""

from __future__ import annotations


def tap(line: str = "", guest: str = "{}", host: str = "{}") -> str:
    return (
        f"links:\n  - transport: tap\n{line and '    ' + line}\n"
        f"    endpoints:\n      web:vec0: {guest}\n      host:tap0: {host}\n"
    )


def gre(line: str = "", one: str = "{local: 192.0.2.1}", two: str = "{local: 192.0.2.2}", more: str = "") -> str:
    return (
        f"links:\n  - transport: gre\n{line and '    ' + line}\n"
        f"    endpoints:\n      web:vec0: {one}\n      db:vec0: {two}\n{more}"
    )


def l2tp(line: str = "", one: str = "{local: 192.0.2.1}", two: str = "{local: 192.0.2.2}", more: str = "") -> str:
    return gre(line, one, two, more).replace("transport: gre", "transport: l2tpv3")


def two_taps(first: str, second: str, rest: str = "") -> str:
    one = f"links:\n  - transport: tap\n    endpoints:\n      web:vec0: {first}\n      host:tap0: {{}}\n"
    return one + f"  - transport: tap\n    endpoints:\n      db:vec0: {second}\n      host:tap1: {{}}\n{rest}"
