"""vecnet loopback: prove every link of a topology, or a string, with packets."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from vecnet.cli import across
from vecnet.cli.common import (
    Folder,
    LinkName,
    ReportFile,
    inventory_option,
    load_topology,
    on_option,
    once,
    part,
    refuse_one_place_for_two,
    write_report,
)
from vecnet.cli.everywhere import meant
from vecnet.cli.longer import Longer, longer_options
from vecnet.cli.terminal import answer, say, width
from vecnet.errors import InputError, Refused
from vecnet.text import a

if TYPE_CHECKING:
    from vecnet.impairment import Impairment
    from vecnet.loopback import Verdicts
    from vecnet.loopback.subject import Subject
    from vecnet.topology import Topology


@click.command("loopback")
@click.argument("subject", metavar="FILE|STRING")
@on_option
@across.agent_option
@inventory_option
@click.option("--link", "-l", "links", type=LinkName("subject"), multiple=True, help="Only this link; may be repeated.")
@click.option("--probe", "-p", "probes", multiple=True, metavar="PROBE", help="Only this probe; may be repeated.")
@click.option("--only", "only", multiple=True, metavar="WORD", help="Only links of this guest, end or pattern: 'web*'.")
@click.option("--quick", is_flag=True, help="Only whether packets pass: nothing is measured.")
@once("--jobs", "-j", type=click.IntRange(1, 256), metavar="N", help="So many links side by side; 1 is one by one.")
@once("--peer", metavar="STRING", help="The string of the other end.")
@click.option("--mirror", is_flag=True, help="Play the other end too, with the mirrored string.")
@once("--impair", metavar="TEXT", help="Impair what guests send, and measure it: 'loss 1% delay 10ms 2ms'.")
@once("--pcap", "pcap", type=Folder(), metavar="DIR", help="Keep the packets of what fails, as pcapng.")
@click.option("--live", is_flag=True, help="Probe what is in use, too: frames go into running guests.")
@longer_options
@click.option("--verbose", "-v", is_flag=True, help="Print what every probe found.")
@once("--json", "json_file", type=ReportFile(), metavar="F", help="Write the report as JSON; - is stdout.")
@once("--junit", "junit_file", type=ReportFile(), metavar="F", help="… as JUnit XML.")
@once("--markdown", "markdown_file", type=ReportFile(), metavar="F", help="… as Markdown, for a CI summary.")
@once("--github", "github_file", type=ReportFile(), metavar="F", help="… as annotations of GitHub's Actions.")
@once("--tap", "tap_file", type=ReportFile(), metavar="F", help="… in the Test Anything Protocol.")
@once(
    "--baseline", type=click.Path(), metavar="F", help="Fail what became worse than in the JSON report of a run before."
)
@click.pass_context
def command(
    ctx: click.Context,
    subject: str,
    on: str | None,
    inventory: str | None,
    links: tuple[str, ...],
    probes: tuple[str, ...],
    only: tuple[str, ...],
    quick: bool,
    jobs: int | None,
    peer: str | None,
    mirror: bool,
    impair: str | None,
    pcap: str | None,
    live: bool,
    longer: Longer,
    verbose: bool,
    json_file: str | None,
    junit_file: str | None,
    markdown_file: str | None,
    github_file: str | None,
    tap_file: str | None,
    baseline: str | None,
) -> None:
    """Prove with packets that wires carry: of the topology in FILE, which must be up, or of a vec string.

    vecnet opens each guest's own string and plays the guest. The other end is the real one: the host's interface and
    IP stack, the other guest's string, a switch's socket. `vecnet sandbox FILE -- vecnet loopback FILE` needs no root.

    Where FILE names hosts, an agent on each, started by ssh or as -i says, proves what lies there, and opens one end of
    what goes to another host.

    Exit status: 0 every link was tested and passes, 1 one fails, 2 the input is wrong, 3 one could not be tested.
    """
    from vecnet import loopback
    from vecnet.cli.progress import progress
    from vecnet.loopback.baseline import read
    from vecnet.loopback.captures import make_folder
    from vecnet.loopback.choice import known_probes, require_probes
    from vecnet.loopback.probes import MEASURED

    files = {
        "json": json_file,
        "junit": junit_file,
        "markdown": markdown_file,
        "github": github_file,
        "tap": tap_file,
    }
    alone: dict[str, object] = {"--quick": quick, "--pcap": pcap, "--baseline": baseline}
    if longer.by_the_book:
        alone |= {"--probe": probes, "--jobs": jobs}
    longer.refuse([option for option, value in alone.items() if value not in (None, False, ())])
    refuse_one_place_for_two({**files, "svg": longer.svg}, subject)
    require_probes(probes)
    if quick:
        names = tuple(probe for probe in known_probes() if probe not in MEASURED)
        if spoiled := [probe for probe in probes if probe in MEASURED]:
            raise InputError(
                f"--quick leaves out what is measured, and so --probe {spoiled[0]}", "leave one of them out"
            )
        probes = probes or names
    whole = None if _is_string(subject) else load_topology(subject)
    many = jobs or loopback.JOBS
    if whole is not None and meant(whole, on, inventory):
        given: dict[str, object] = {"--peer": peer, "--mirror": mirror, "--impair": impair, "--pcap": pcap}
        given |= {"--baseline": baseline, longer.name: longer.name or None}
        across.refuse([option for option, value in given.items() if value not in (None, False)])
        from vecnet.fleet import proof

        names = _chosen(whole, links, only)
        proved = partial(proof.prove, whole, inventory, links=names, probes=probes, live=live, jobs=many)
    else:
        if inventory is not None:
            raise InputError("--inventory goes with a topology that names hosts", "leave it out")
        name, subjects, topology = _subjects(subject, whole, on, links, peer, mirror)
        if only:
            chosen = _only(only, name, {one.name: (one.near.name, one.far.name) for one in subjects})
            subjects = [one for one in subjects if one.name in chosen]
        if impair is not None:
            impairment = _impairment(impair)
            subjects = [dataclasses.replace(one, impairment=impairment) for one in subjects]
        if longer.by_the_book:
            proved = partial(longer.measure, name, subjects, topology, links, live)
        elif longer.span is not None:
            proved = partial(longer.soak, name, subjects, topology, probes, live, many)
        else:
            before = read(baseline) if baseline is not None else None
            captures = make_folder(pcap) if pcap is not None else None
            proved = partial(loopback.prove, name, subjects, topology=topology, probes=probes, live=live, jobs=many)
            proved = partial(proved, captures=captures, baseline=before)
    with progress("loopback") as report_progress:
        report = proved(progress=report_progress)
    _tell(ctx, report, files, verbose, longer)


def _tell(ctx: click.Context, report: Verdicts, files: dict[str, str | None], verbose: bool, longer: Longer) -> None:
    if "-" not in (*files.values(), longer.svg):
        answer(*longer.lines(report, verbose, width(sys.stdout)))
    _write(report, files)
    longer.draw(report)
    if report.interrupted:
        say("interrupted")
    ctx.exit(report.exit_code)


def _chosen(topology: Topology, links: tuple[str, ...], only: Sequence[str]) -> tuple[str, ...]:
    """The names of the links that both options mean; none where all are meant. Raises InputError."""
    from vecnet.loopback.choice import require_links

    require_links(topology, links)
    if not only:
        return links
    every = {link.name: tuple(map(str, link.spec.ends)) for link in topology.links}
    names = tuple(name for name in _only(only, topology.name, every) if not links or name in links)
    if not names:
        raise InputError("--link and --only mean no link together", "leave one of them out")
    return names


def _only(words: Sequence[str], name: str, links: Mapping[str, Sequence[str]]) -> list[str]:
    """The names of the links that a word means, by their ends. Raises InputError for a word that means none."""
    from fnmatch import fnmatchcase

    def means(word: str, link: str) -> bool:
        known = (link, *links[link], *(end.partition(":")[0] for end in links[link]))
        return any(fnmatchcase(one, word) for one in known)

    for word in words:
        if not any(means(word, link) for link in links):
            raise InputError(
                f"--only {word}: {name} has no such link, end or guest", "give its name, or a pattern: 'web*'"
            )
    return [link for link in links if any(means(word, link) for word in words)]


def _impairment(text: str) -> Impairment:
    from vecnet.impairment import ImpairmentText

    try:
        return ImpairmentText().parse(text)
    except Refused as error:
        raise InputError(f"--impair: {error.message}", error.instead) from None


def _is_string(subject: str) -> bool:
    return subject.startswith("vec") and ":" in subject


def _subjects(
    subject: str, whole: Topology | None, on: str | None, links: tuple[str, ...], peer: str | None, mirror: bool
) -> tuple[str, list[Subject], Topology | None]:
    from vecnet.loopback.choice import require_links
    from vecnet.loopback.subject import of_strings, of_topology
    from vecnet.loopback.verdict import Untested

    if whole is not None:
        if peer is not None or mirror:
            raise InputError("--peer and --mirror go with a vec string; a topology says what each other end is")
        topology = part(whole, on)
        require_links(topology, links)
        return topology.name, of_topology(topology, links), topology
    from vecnet.transports.answers import FarEnd
    from vecnet.vecstring import parse

    if on is not None:
        raise InputError("--on goes with a topology that names hosts, and not with a string", "leave it out")
    if peer is not None and mirror:
        raise InputError("give --peer or --mirror, not both")
    device = parse(subject)
    if mirror and device.transport.far_end is not FarEnd.OTHER_STRING:
        whose = device.transport.far_name
        instead = "leave --mirror out" if whose else "give a topology, which says what the other end is"
        raise InputError(f"--mirror: {a(device.transport.name)} wire does not end at another string", instead)
    other = parse(peer) if peer is not None else device.mirror() if mirror else None
    try:
        return device.transport.name, [of_strings(device, other)], None
    except Untested as error:
        raise InputError(str(error)) from None


def _write(report: Verdicts, files: dict[str, str | None]) -> None:
    from vecnet.loopback.report import WRITERS

    for form, file in files.items():
        if file is not None:
            write_report(file, WRITERS[form](report) + "\n")
