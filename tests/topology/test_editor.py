"""An editor's view of the topology file: a real YAML language server, with the JSON Schema, on good and broken files.

Source: Language Server Protocol 3.17; yaml-language-server's README, "Language Server Settings".
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.need import need, need_command
from vecnet.topology.schema import PATH

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
TOPOLOGIES = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))
MODELINE = f"# yaml-language-server: $schema={PATH.as_uri()}\n"  # as docs/howto/editor.md says
BROKEN = {  # and a word of what the server says, with the line, which counts from 0 below the first
    "links: [{transport: tapp, endpoints: ['a:vec0', 'host:t']}]\n": ("Value is not accepted", 0),
    "name: x\nlinks: [{transport: gre, keyy: on, endpoints: {a:vec0: {local: 1.1.1.1}, b:vec0: {local: 1.1.1.2}}}]\n": (
        "keyy",
        1,
    ),
    "linkz: []\n": ("linkz", 0),
    "links: [{transport: tap, endpoints: ['a:vec0', 'host:t']}]\nguests: {a: {colour: red}}\n": ("colour", 1),
    "links: [{transport: tap, endpoints: ['a:vec0', 'host:t']}]\nswitches: {lan: {age: never}}\n": ("Expected", 1),
}
COMPLETED = {  # what is offered where the text ends
    "": {"links", "name", "guests", "switches", "bridges", "defaults", "hosts"},
    "links:\n  - transport: ": {"tap", "gre", "l2tpv3", "vde", "bess"},
    "links:\n  - transport: gre\n    endpoints: {}\n    ": {"key", "sequence", "mtu", "impair"},
    "switches:\n  lan:\n    ": {"age", "addresses"},
    "guests:\n  web:\n    ": {"kernel", "on"},
    "hosts:\n  alpha:\n    ": {"address", "mtu"},
    "bridges:\n  br0:\n    ": {"ip", "existing"},
}


class Server:
    """The language server, with which one speaks by its standard streams."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder, self.last = folder, 0
        self.process = subprocess.Popen([program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}})
        self.tell("initialized", {})
        settings = {"yaml": {"validate": True, "completion": True, "schemaStore": {"enable": False}}}
        self.tell("workspace/didChangeConfiguration", {"settings": settings})

    def write(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        out = self.process.stdout
        assert out is not None
        length = 0
        while line := out.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        assert length, "the server has ended"
        message: dict[str, Any] = json.loads(out.read(length))
        if "id" in message and "method" in message:  # a question of its own, such as to register a capability
            self.write({"id": message["id"], "result": None})
        return message

    def tell(self, method: str, params: dict[str, Any]) -> None:
        self.write({"method": method, "params": params})

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        self.last += 1
        self.write({"id": self.last, "method": method, "params": params})
        while (message := self.read()).get("id") != self.last or "method" in message:
            pass
        assert "error" not in message, message
        return message["result"]

    def open(self, name: str, text: str) -> str:
        uri = (self.folder / name).as_uri()
        self.tell(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": MODELINE + text}},
        )
        return uri

    def found(self, name: str, text: str) -> list[tuple[str, int]]:
        """What is wrong with a file, each with its line."""
        uri = self.open(name, text)
        while True:
            message = self.read()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                return [(one["message"], one["range"]["start"]["line"] - 1) for one in message["params"]["diagnostics"]]

    def offered(self, name: str, text: str) -> set[str]:
        """What completes a text at its end."""
        uri = self.open(name, text)
        lines = text.split("\n")
        place = {"line": len(lines), "character": len(lines[-1])}
        answer = self.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": place})
        items = answer["items"] if isinstance(answer, dict) else answer
        return {item["label"] for item in items}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need_command("node", "npm")
    folder = tmp_path_factory.mktemp("editor")
    program = shutil.which("yaml-language-server")
    if program is None:
        line: list[str | Path] = ["npm", "install", "--silent", "--prefix", folder, "yaml-language-server"]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
        need(done.returncode == 0, "needs yaml-language-server, of npm")
        program = str(folder / "node_modules" / ".bin" / "yaml-language-server")
    server = Server(Path(program), folder)
    yield server
    server.process.kill()
    server.process.communicate()


@pytest.mark.parametrize("file", TOPOLOGIES, ids=lambda file: file.stem)
def test_nothing_is_wrong_with_an_example(file: Path, server: Server) -> None:
    assert server.found(file.name, file.read_text()) == []


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_mistake_is_marked_at_its_line(text: str, server: Server) -> None:
    word, line = BROKEN[text]
    found = server.found(f"broken-{list(BROKEN).index(text)}.yaml", text)
    assert any(word in message and at == line for message, at in found), found


@pytest.mark.parametrize("text", COMPLETED, ids=range(len(COMPLETED)))
def test_what_fits_is_offered(text: str, server: Server) -> None:
    offered = server.offered(f"started-{list(COMPLETED).index(text)}.yaml", text)
    assert offered >= COMPLETED[text], offered
