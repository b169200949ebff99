"""YAML as a graph of nodes, each with its place in the file; every mistake is gathered, none stops the reading.

1. Only the graph is composed: no value is constructed, so a file cannot run code, and `on`, `0x10` or
   `52:54:00:12:34:56` keep the text that was written. What a text means is said by its kind, quoted or not, in YAML 1.1
   and 1.2 alike.
2. An alias is the node that it names. The walk follows the topology's own few levels and each mapping is read once, so
   aliases of aliases cost nothing.
3. A merge key (`<<: *base`) adds what the mapping itself does not give.

Source: YAML 1.2.2, sections 3.2 (graph) and 5.1 (characters); yaml.org/type/merge.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from vecnet.errors import InputError, Position, Problem, Refused
from vecnet.transports.link import Key, Keys

Entries = dict[str, tuple[Node, Node]]  # a mapping's keys with the nodes of the key and of its value

MAX_BYTES = 16 * 2**20  # 4096 links take 600 kB
_TAG = "tag:yaml.org,2002:"
_TAGS = {_TAG + tag for tag in ("str", "int", "float", "bool", "null", "map", "seq", "merge", "timestamp", "value")}
_NULL, _MERGE, _TEXT, _LIST, _MAPPING = (_TAG + tag for tag in ("null", "merge", "str", "seq", "map"))
_UNQUOTED = {"": _NULL, "~": _NULL, "null": _NULL, "Null": _NULL, "NULL": _NULL, "<<": _MERGE}
_NOUNS = {ScalarNode: "a single value", SequenceNode: "a list", MappingNode: "a mapping"}

_ALIGN = "indent the keys of one mapping alike, and so the '-' of one list"
_QUOTE = "put quotes around a value that begins with a sign of YAML's own"
_SYNTAX = {  # a part of what libyaml and PyYAML's own parser say is wrong, and what to write instead
    "alias": "write &name at a value before *name repeats it",
    "',' or": "close the bracket that line {line} opens, or put a ',' between the values",
    "unexpected end of stream": "close the quote that line {line} opens",
    "node content": f"{_QUOTE}, and close every bracket",
    "cannot start any token": _QUOTE,
    "'-' indicator": _ALIGN,
    "expected key": _ALIGN,
    "<block end>": _ALIGN,
    "mapping values": _ALIGN,
    "expected ':'": "write key: value",
    "escape character": "write a '\\\\' within single quotes",
    "block sequence entries": "begin a list on a line of its own",
}


def read_text(path: str) -> str:
    """The text of a file, "-" for standard input. Raises InputError where it cannot be read or is not text."""
    try:
        if path == "-" and sys.stdin is None:
            raise ValueError("it is closed")
        if path == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(path, "rb") as file:  # noqa: PTH123 - importing pathlib takes longer than all of this
                data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        name = "standard input" if path == "-" else path or "''"
        raise InputError([Problem(f"{name}: cannot be read: {reason}")]) from None
    if len(data) > MAX_BYTES:
        raise InputError([Problem(f"{path}: is larger than {MAX_BYTES >> 20} MiB, so it is no topology")])
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, errors="replace")
        where = Position(path, before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = f"the file is not text in UTF-8: {error.reason}"
        raise InputError([Problem(message, "save it in the encoding UTF-8", where)]) from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Gives a node without a tag one that says what the walk asks: whether it is null, a merge key, or any text.

    PyYAML's own tells numbers, times and more apart by expressions, and takes as long for it as to compose the graph.
    """

    def resolve(self, kind: type[Node], value: str, implicit: tuple[bool, bool]) -> str:
        if kind is ScalarNode:
            return _UNQUOTED.get(value, _TEXT) if implicit[0] else _TEXT
        return _LIST if kind is SequenceNode else _MAPPING

    def descend_resolver(self, parent: Node | None, index: object) -> None:
        """Nothing depends on where a node is."""

    def ascend_resolver(self) -> None:
        """As above."""


class Stated:
    """Values and the entries they came from; `node` is the whole."""

    __slots__ = ("entries", "given", "node")

    def __init__(self, node: Node, given: Mapping[str, Any], entries: Entries) -> None:
        self.node, self.given, self.entries = node, given, entries

    def at(self, key: str) -> Node:
        return self.entries[key][1] if key in self.entries else self.node


class Document:
    """A file's nodes, and the problems found in them so far."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._read: dict[int, Entries] = {}
        self.root = self._compose(text)

    def _compose(self, text: str) -> Node:
        odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
        if odd:
            before = text[: odd.start()]
            where = Position(self.file, before.count("\n") + 1, len(before) - before.rfind("\n"))
            message = f"the character U+{ord(odd.group()):04X} cannot stand in a YAML file"
            raise InputError([Problem(message, "save it as plain text", where)])
        try:
            root = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            raise InputError([self._syntax(error, text)]) from None
        except RecursionError:
            raise InputError([Problem("nested too deeply for a topology", "", Position(self.file, 1, 1))]) from None
        if root is None:
            message, instead = "the file is empty", "write links: with a list of links"
            raise InputError([Problem(message, instead, Position(self.file, 1, 1))])
        assert isinstance(root, Node)
        return root

    def _syntax(self, error: yaml.MarkedYAMLError, text: str) -> Problem:
        mark = error.problem_mark or error.context_mark
        where = Position(self.file, mark.line + 1, mark.column + 1) if mark else None
        instead = ""
        lines = text.splitlines()
        if mark and mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
            instead = "indent with spaces, YAML does not take tabs there"
        elif "single document" in (error.context or "") + (error.problem or ""):
            instead = "a file holds one topology: leave the second '---' out"
        else:
            instead = next((mend for words, mend in _SYNTAX.items() if words in (error.problem or "")), "")
            opened = error.context_mark
            if opened and "{" in instead:
                instead = instead.format(line=opened.line + 1)
        context = f" {error.context}" if error.context else ""
        return Problem(f"this is not YAML:{context}{',' if context else ''} {error.problem}", instead, where)

    def at(self, node: Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def wrong(self, node: Node, message: str, instead: str = "") -> None:
        self.problems.append(Problem(message, instead, self.at(node)))

    def finish(self) -> None:
        """Raise InputError if anything was wrong, with the problems in the order of the file."""
        if self.problems:
            raise InputError(sorted(dict.fromkeys(self.problems), key=lambda p: p.where or Position("", 0, 0)))

    def is_null(self, node: Node) -> bool:
        """Whether nothing was written, as after `lan:`."""
        return isinstance(node, ScalarNode) and node.tag == _NULL

    def text(self, node: Node, what: str) -> str | None:
        """A scalar's text; "" where nothing was written."""
        if node.tag is _TEXT:  # as the loader says of a scalar alone, and of nearly all
            return str(node.value)
        if not isinstance(node, ScalarNode):
            self.wrong(node, f"{what} is {_NOUNS[type(node)]}, and takes a single value")
            return None
        if node.tag not in _TAGS:
            self.wrong(node, f"the tag {node.tag} has no meaning in a topology", "leave it out")
            return None
        return "" if node.tag == _NULL else str(node.value)

    def items(self, node: Node, what: str, of: str) -> list[Node]:
        """A list's nodes."""
        if isinstance(node, SequenceNode):
            if node.tag not in _TAGS:
                self.wrong(node, f"the tag {node.tag} has no meaning in a topology", "leave it out")
            return list(node.value)
        self.wrong(node, f"{what} is {self._noun(node)}, and takes a list", f"begin each of the {of} with '- '")
        return []

    def entries(self, node: Node, what: str) -> Entries:
        """A mapping's entries, merges included. A key given twice is an error, and nothing is an empty mapping."""
        if id(node) in self._read:
            return self._read[id(node)]
        found: Entries = {}
        self._read[id(node)] = found  # before the merges: one that merges itself ends here
        if not isinstance(node, MappingNode):
            if self.is_null(node):
                return found
            self.wrong(node, f"{what} is {self._noun(node)}, and takes a mapping", "write key: value, one a line")
            return found
        if node.tag not in _TAGS:
            self.wrong(node, f"the tag {node.tag} has no meaning in a topology", "leave it out")
        merges: list[Node] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                merges += value.value if isinstance(value, SequenceNode) else [value]
                continue
            name = key.value if key.tag is _TEXT else self.text(key, f"a key of {what}")
            if name is None:
                continue
            if name in found:
                line = found[name][0].start_mark.line + 1
                self.wrong(key, f"{what} has the key {name!r} twice, first in line {line}", "leave one out")
            else:
                found[name] = (key, value)
        for merge in merges:
            for name, entry in self.entries(merge, "what '<<' merges").items():
                found.setdefault(name, entry)
        return found

    def _noun(self, node: Node) -> str:
        return "empty" if self.is_null(node) else _NOUNS[type(node)]

    def values(self, whose: str, node: Node, entries: Entries, known: Keys) -> dict[str, Any]:
        """The values of declared keys, parsed; says which keys are unknown, missing, or have a wrong value."""
        given = {}
        for name, (key, value) in entries.items():
            if name not in known:
                self.unknown(key, name, whose, known)
            elif known[name].many and isinstance(value, SequenceNode):
                parsed = [self._value(name, item, known[name]) for item in value.value]
                given[name] = tuple(item for item in parsed if item is not None)
            else:
                one = self._value(name, value, known[name])
                if one is not None:
                    given[name] = (one,) if known[name].many else one
        for name in known.required:
            if name not in entries:
                self.wrong(node, f"{whose} needs {name}, {known[name].doc}", f"add {name}:")
        return given

    def _value(self, name: str, node: Node, declared: Key) -> Any:
        text = self.text(node, name)
        if text is None:
            return None
        try:
            return declared.kind.parse(text)
        except Refused as error:
            self.wrong(node, f"{name}: {error.message}", error.instead)
            return None

    def unknown(self, key: Node, name: str, whose: str, known: Iterable[str]) -> None:
        """Say that a key is not known, and which one may have been meant."""
        import difflib  # for mistakes alone

        near = difflib.get_close_matches(name.lower().replace("-", "_"), known, 1)
        instead = f"did you mean {near[0]}?" if near else f"its keys are {', '.join(known)}"
        self.wrong(key, f"{whose} has no key {name!r}", instead)
