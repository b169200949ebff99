"""What `up` makes, for those who configure otherwise: files for other programs, and for devices elsewhere.

| file | what |
|---|---|
| base.py | a target, what it is told, and limits that several share |
| commands.py | an interface as commands of ip, for the targets that are made of these |
| any other | the target of its name |
"""

from __future__ import annotations

from collections.abc import Mapping

from vecnet.export.base import REGISTRY, Target, export
from vecnet.registry import Registry

TARGETS: Mapping[str, type[Target]] = Registry(__name__, __path__, REGISTRY, {"base", "commands"})

__all__ = ["TARGETS", "Target", "export"]
