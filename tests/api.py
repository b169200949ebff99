"""The public interface as lines of text, each of which a release promises to keep: `python -m tests.api` writes them.

    vecnet.open_port(device: …) -> …        a function, a method or a property of the library
    $ vecnet up --guest                     a command with one of its options or arguments
    pytest --vecnet                         an option, a marker or a fixture of the plugin

Public in Python is what `vecnet.__all__` names, each transport, each exception, two modules of the datapath, and the
guests' console.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click

import vecnet
from vecnet import errors, pytest_plugin
from vecnet.cli import COMMANDS
from vecnet.cli import vecnet as group
from vecnet.transports import TRANSPORTS

STORED = Path(__file__).parents[1] / "docs" / "api.txt"
FOR_THE_HOUSE = {"forked", "quiet", "surrender"}  # public for other rooms alone
OF_A_TRANSPORT = ("mirror", "overhead", "header_size", "options")  # the rest is for the rooms above
MODULES = ("vecnet.datapath.loops", "vecnet.datapath.record", "vecnet.mconsole")


def lines() -> list[str]:
    """The whole interface, sorted."""
    return sorted({*_library(), *_commands(), *_plugin()})


def _library() -> Iterator[str]:
    for name in vecnet.__all__:
        yield from _member(f"vecnet.{name}", getattr(vecnet, name))
    for transport in TRANSPORTS.values():
        name = f"vecnet.{transport.__name__}"
        yield name
        yield from (f"{name}({option}=…)" for option in transport.options())
        yield from (f"{name}.{attribute}" for attribute in OF_A_TRANSPORT if hasattr(transport, attribute))
    for module in (errors, *map(importlib.import_module, MODULES)):
        for name, value in _own(module):
            yield from _member(f"{module.__name__}.{name}", value)


def _own(module: ModuleType) -> Iterator[tuple[str, object]]:
    """What a module itself defines for others."""
    for name, value in vars(module).items():
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__:
            yield name, value


def _member(name: str, value: object) -> Iterator[str]:
    if inspect.isclass(value):
        yield from _class(name, value)
    elif callable(value):
        yield f"{name}{_signature(value)}"
    else:
        yield name


def _class(name: str, value: type) -> Iterator[str]:
    """How it is made, unless vecnet alone makes it, and what it has."""
    if dataclasses.is_dataclass(value):
        yield name
        yield from (f"{name}.{field.name}: {field.type}" for field in dataclasses.fields(value))
    else:
        yield f"{name}{_signature(value)}"
    for attribute in dir(value):
        inner = inspect.getattr_static(value, attribute)
        if attribute.startswith("_") or attribute in FOR_THE_HOUSE or hasattr(BaseException, attribute):
            continue
        if isinstance(inner, property):
            yield f"{name}.{attribute}"
        elif callable(inner) or isinstance(inner, classmethod):
            yield from _member(f"{name}.{attribute}", getattr(value, attribute))


def _signature(value: object) -> str:
    assert callable(value)
    return str(inspect.signature(value)).replace("''", '""').replace("'", "")


def _commands() -> Iterator[str]:
    context = click.Context(group, info_name="vecnet")
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        yield f"$ vecnet {name}"
        for parameter in command.params:
            words = parameter.opts if isinstance(parameter, click.Option) else [parameter.make_metavar(context)]
            yield from (f"$ vecnet {name} {word}" for word in words)


def _plugin() -> Iterator[str]:
    yield from ("pytest --vecnet", "pytest --vecnet-here", "pytest @pytest.mark.vecnet")
    yield from (f"pytest fixture {name}" for name in pytest_plugin.__all__)


if __name__ == "__main__":
    STORED.write_text("".join(f"{line}\n" for line in lines()))
    sys.stdout.write(f"{STORED}: what is gone or new there, the CHANGELOG has to say\n")
