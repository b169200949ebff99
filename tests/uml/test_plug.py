"""Real guests of every generation, into which devices are plugged while they run.

    guest "web" vec0 10.0.0.2 ── tap0 10.0.0.1     pings all the while
                vec1 ── tap1                       is up, and no longer wanted
                vec2 ── tap2                       has another MAC then
                vec3 10.3.0.2 ── tap3 10.3.0.1     is new

The second guest has more devices than its command line holds.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cli.command import EXECUTABLE, environment
from tests.need import need_command
from tests.uml.fetch import GENERATIONS
from tests.uml.guest import Guest, Kernel, Wiring
from vecnet.cli import vecnet
from vecnet.errors import GuestError, GuestMissing, GuestRefused
from vecnet.host.plan import Action, Node, Plan, Step
from vecnet.mconsole import Guest as Console
from vecnet.plugging.devices import given
from vecnet.plugging.steps import Device, Plugging, plugging
from vecnet.topology import load

pytestmark = pytest.mark.uml

LINK = "  - {{transport: tap, endpoints: {{web:vec{0}: {{{1}}}, host:tap{0}: {{{2}}}}}}}\n"
FIRST = "name: lab\nlinks:\n" + LINK.format(0, "ip: 10.0.0.2/24", "ip: 10.0.0.1/24")
BEFORE = FIRST + LINK.format(1, "", "") + LINK.format(2, "mac: 02:00:00:00:00:02", "")
AFTER = FIRST + LINK.format(2, "mac: 02:00:00:00:00:03", "") + LINK.format(3, "", "ip: 10.3.0.1/24")

SCRIPT = """
up vec0 10.0.0.2/24 && ip link set vec1 up && pings 10.0.0.1 || exit
ping -q -i 0.005 10.0.0.1 >$here/pings & ping=$!
meet booted host
ip link set vec1 down
meet down host
kill -INT $ping; wait $ping
sed -n 's/\\([0-9]*\\) packets transmitted, \\([0-9]*\\) received.*/sent=\\1\\nreceived=\\2/p' $here/pings
test -e /sys/class/net/vec1 || echo vec1=gone
echo "mac=$(cat /sys/class/net/vec2/address)"
up vec3 10.3.0.2/24 && pings 10.3.0.1 && echo vec3=reaches
"""
SAME = (  # requests that change nothing, and whose answers stay the same
    "version",
    "proc cmdline",
    "proc sys/kernel/random/boot_id",
    "proc net/dev",
    "proc nothing",
    "config vec0:transport=tap,ifname=tap0",
    "config vec0",
    "remove vec1",
    "remove vec9",
    "sysrq h",
    "nonsense",
)


def console(guest: Guest) -> Console:
    (path,) = guest.folder.glob("*/mconsole")
    return Console(socket=path)


def said(wiring: Wiring, guest: Console, request: str) -> tuple[str, str]:
    """What uml_mconsole is answered: OK or ERR, and the text."""
    done = subprocess.run(
        wiring.inside("uml_mconsole", guest.socket, request), capture_output=True, text=True, check=False
    )
    status, _, text = done.stdout.partition(" ")
    return status, text.strip()


def own(guest: Console, request: str) -> tuple[str, str]:
    try:
        return "OK", guest.request(request).strip()
    except GuestRefused as error:
        return "ERR", error.answer


def cli(wiring: Wiring, *words: str | Path, status: int = 0) -> Result:
    """A command of vecnet's, for a user whose home is the wiring's folder."""
    with wiring.entered():
        done = CliRunner(env={"HOME": str(wiring.folder)}).invoke(vecnet, [str(word) for word in words])
    shown = f"{done.stdout}{done.stderr}{done.exception!r}"
    assert done.exit_code == status, shown
    return done


@pytest.mark.parametrize("generation", GENERATIONS)
def test_devices_come_and_go_while_another_has_traffic(generation: str) -> None:
    need_command("uml_mconsole")
    with Wiring(Kernel.of(generation)) as wiring:
        file = wiring.folder / "lab.yaml"
        file.write_text(BEFORE)
        guest = wiring.boot(cli(wiring, "up", file).stdout.splitlines(), SCRIPT)
        with guest.at("booted"):
            web = console(guest)
            plug = ("plug", file, "--umid", str(web.socket))
            assert [said(wiring, web, request) for request in SAME] == [own(web, request) for request in SAME]
            assert said(wiring, web, "help")[1].startswith(own(web, "help")[1])
            assert cli(wiring, *plug).stdout == "lab, guest web: nothing to do, 3 interfaces as wanted\n"

            file.write_text(AFTER)
            lines = cli(wiring, *plug, "--dry-run").stdout.splitlines()
            down = "type in the guest first: ip link set vec1 down"
            assert [line for line in lines if not line.startswith(" ")] == [
                f"- tap vec1: no longer in the topology; it is up, so {down}",
                "± tap vec2, web:vec2--host:tap2",
                "+ tap vec3, web:vec3--host:tap3",
                "lab, guest web: 1 to create, 1 to replace, 1 to delete, 1 unchanged",
            ]
            with wiring.entered(), pytest.raises(Exception, match=r"lab is not up: tap3 differs; run `vecnet up"):
                vecnet.main(list(map(str, plug)), standalone_mode=False)
            cli(wiring, "up", file)
            failed = cli(wiring, *plug, status=1).stderr
            assert "lab, guest web: 1 made, 1 made again, 1 unchanged\n" in failed
            assert "'Device is currently open' to 'remove vec1'; type in the guest: ip link set vec1 down\n" in failed
            put_back(web)
            string = given(web).strings[3].string
            for _ in range(20):
                web.remove("vec3")
                assert not web.has(3)
                web.config(string)
                assert web.has(3)
        with guest.at("down"):
            answered = json.loads(cli(wiring, *plug, "--json").stdout)
            assert [(step["action"], step["interface"]) for step in answered["steps"]] == [("delete", "vec1")]
            assert cli(wiring, *plug).stdout == "lab, guest web: nothing to do, 3 interfaces as wanted\n"
        report = guest.wait()
        assert not web.folder.exists(), "the guest's kernel removes it, and with it the note"
    assert report.status == 0, report
    values = report.values
    assert int(values["sent"]) - int(values["received"]) <= 1, values  # the last was on its way
    assert (values["vec1"], values["mac"], values["vec3"]) == ("gone", "02:00:00:00:00:03", "reaches")


def put_back(guest: Console) -> None:
    """What takes the place of a device is refused: the guest keeps what it had, and it is noted so."""
    known = given(guest)
    string = known.strings[3].string
    before, after = (Node(None, "vec3", "tap", "", values=Device(string + rest)) for rest in ("", "=1"))
    plan = Plan("lab", (Step(Action.REPLACE, before, after, ("string",)),))
    done, (problem,) = Plugging(guest, known, plan).carry_out()
    assert done.steps == ()
    assert "'vector_config failed to parse parameters'" in problem.message
    assert problem.message.endswith("what vec3 was before is put back")
    assert guest.has(3)
    assert given(guest).strings[3].string == string


MANY = "  - {{transport: l2tpv3, endpoints: {{web:vec{0}: {{local: 127.0.0.5}}, db:vec{0}: {{local: 127.0.0.6}}}}}}\n"


def many(count: int) -> str:
    return FIRST + "".join(MANY.format(unit) for unit in range(1, count))


def helpers(name: str) -> Iterator[str]:
    """The command lines of processes with a word that this test alone uses."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if name in line:
            yield line


def test_more_devices_than_a_command_line_holds() -> None:
    """`vecnet run` plugs the rest; `status` and `up` tell of the guest; what a guest that stands or panics tells."""
    with Wiring() as wiring:
        file = wiring.folder / "lab.yaml"
        file.write_text(many(60))
        home = environment(HOME=str(wiring.folder), TMPDIR=str(wiring.folder))
        cli(wiring, "up", file)
        wiring.prepare("web", f"up vec0 10.0.0.2/24; {there(60)}; meet booted host; sleep 60")
        words = [word for word in wiring.kernel("web") if not word.startswith(("umid=", "uml_dir="))]
        command: list[str | Path] = [EXECUTABLE, "run", file, "--guest", "web", "--", *words]
        with (wiring.folder / "web/console").open("wb") as out, (wiring.folder / "said").open("wb") as err:
            running = wiring.start(*command, stdout=out, stderr=err, env=home)
        with Guest(wiring.folder / "web", running).at("booted"):
            web = Console("web", uml_dir=wiring.folder / ".uml")
            assert re.search(
                r"^web: 3\d of 3\d devices plugged, in", (wiring.folder / "said").read_text(), re.MULTILINE
            )
            second = cli(wiring, *command[1:], status=1).exception
            assert str(second) == "a guest with umid=web runs already; end it, or give this one another umid"

            rows = json.loads(cli(wiring, "status", file, "--json").stdout)
            devices = {row["device"]: row for row in rows if "device" in row}
            assert len(devices) == 60
            assert all(row["as_wanted"] for row in devices.values())
            assert devices["vec0"]["state"] == "up"
            for plugged in (devices["vec1"], devices["vec59"]):  # at the boot, and later
                assert (plugged["state"], plugged["woken"]) == ("down", None)
            table = cli(wiring, "status", file).stdout
            assert re.search(r"lab +web +vec0 +web:vec0--host:tap0 +\d+ +\d+ +up\n", table)

            file.write_text(many(62))
            told = cli(wiring, "up", file).stderr
            assert f"web runs, and lacks vec60, vec61: vecnet plug {file} --guest web\n" in told
            file.write_text(many(62) + "  - {transport: fd, endpoints: [web:vec62, db:vec62]}\n")
            with pytest.raises(
                GuestError, match="vec62 cannot be plugged: a descriptor is inherited when a guest starts"
            ):
                plugging(load(file), "web", web)
            file.write_text(many(62))
            web.stop()
            with pytest.raises(GuestRefused, match="Already stopped"):
                web.stop()
            standing = cli(wiring, "plug", file, "--guest", "web")
            assert "note: web was told to stop" in standing.stdout
            assert "1 made" not in standing.stdout
            web.go()
            assert not web.stands()
            assert web.has(61)
            begin = time.monotonic()
            with pytest.raises(GuestMissing, match="as one that panicked or was killed does"):
                Console("web", uml_dir=wiring.folder / ".uml", patience=60).sysrq("c")
            assert time.monotonic() - begin < 30
        assert running.wait(30) != 0
        assert not list(helpers(str(file)))


def there(count: int) -> str:
    """Shell: wait until the guest has its last device."""
    return f"until test -e /sys/class/net/vec{count - 1}; do sleep 0.1; done"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_howtos_4096_interfaces() -> None:
    """Measured on two busy processors: 7.2 took 33 s and 46 kB of its memory a device, 6.1 57 s and 29 kB."""
    with Wiring() as wiring:
        file = wiring.folder / "lab.yaml"
        file.write_text(many(4096))
        wiring.run(EXECUTABLE, "up", file, timeout=300)
        script = f"{there(4096)}; ls /sys/class/net | grep -c vec; up vec0 10.0.0.2/24 && pings 10.0.0.1 && echo ok"
        wiring.prepare("web", script)
        words = ["mem=512M" if word.startswith("mem=") else word for word in wiring.kernel("web")]
        command: list[str | Path] = [EXECUTABLE, "run", file, "--guest", "web", "--", *words]
        with (wiring.folder / "web/console").open("wb") as out:
            running = wiring.start(*command, stdout=out, stderr=out, env=wiring.environment)
        report = Guest(wiring.folder / "web", running).wait(800)
        assert report.output.split() == ["4096", "ok"], report
