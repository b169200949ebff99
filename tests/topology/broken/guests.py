"""Guests' kernels, and ends outside."""

from __future__ import annotations

from tests.topology.broken.texts import gre, tap

VDE = 'links: [{transport: vde, endpoints: {web:vec0: {}, outside:vde: {url: "slirp://"}}}]\n'

GUESTS = {
    "a key of no guest": (
        f"guests: {{web: {{▸kernal: 7.2}}}}\n{tap()}",
        "guest web has no key 'kernal'",
        "mean kernel?",
    ),
    "a guest of no link": (
        f"guests: {{▸wbe: {{kernel: 7.2}}}}\n{tap()}",
        "no link has an end at the guest wbe",
        "web?",
    ),
    "a guest's reserved name": (
        f"guests: {{▸host: {{}}}}\n{tap()}",
        "host is a reserved word, and names no guest",
        "choose another",
    ),
    "guests as a list": (f"guests: ▸[web]\n{tap()}", "guests is a list, and takes a mapping", "key: value"),
    "a kernel that is none": (
        f"guests: {{web: {{kernel: ▸7}}}}\n{tap()}",
        "kernel: '7' is not a kernel's version, such as 7.2, or the path of its binary",
        "",
    ),
    "a binary that is no kernel": (
        f"guests: {{web: {{kernel: ▸/bin/sh}}}}\n{tap()}",
        "kernel: /bin/sh is not the binary of a kernel",
        "write its version, such as 7.2",
    ),
    "a transport that the kernel lacks": (
        "guests: {web: {kernel: 6.1}}\n" + VDE.replace("{web:", "{▸web:"),
        "web:vec0: 6.1 has no transport vde",
        "boot a later kernel",
    ),
    "one at a time in a tunnel": (
        gre("vec: ▸off"),
        "vec=0: the guest never sends",
        "leave vec out",
    ),
    "one at a time by default": (
        "defaults: {vec: ▸off}\n" + gre(),
        "vec=0: the guest never sends",
        "leave vec out",
    ),
    "outside without its url": (
        VDE.replace(' {url: "slirp://"}', " {}").replace("outside", "▸outside"),
        "outside:vde, the end outside of a vde link, needs url",
        "add url:",
    ),
    "a program that vde is not": (
        VDE.replace("outside:vde", "▸outside:passt"),
        "a vde link has no end at outside:passt",
        "write outside:vde",
    ),
    "vde to the host": (
        VDE.replace('outside:vde: {url: "slirp://"}', "▸host:tap0: {}"),
        "a vde link has no end at host:tap0",
        "write outside:vde",
    ),
    "vde between guests": (
        VDE.replace('outside:vde: {url: "slirp://"}', "▸xdb:vec0: {}"),
        "a vde link has one end at a guest, and the other at outside:vde",
        "use two links to the same network",
    ),
    "outside of a tap": (
        "links: [{transport: tap, endpoints: [web:vec0, ▸outside:vde]}]\n",
        "a tap link has no end at outside:vde",
        "write host:ifname",
    ),
    "a key of the end outside": (
        VDE.replace("web:vec0: {}", "web:vec0: {▸port: 3}"),
        "port at web:vec0 is a key of the end outside of a vde link",
        "write it there",
    ),
}
