"""The pages and man pages that are made from declarations: nothing of them is typed twice, or kept in the source.

`make docs` has mkdocs ask for `pages` (hook.py); `python -m manual.man FOLDER` writes the man pages.

| file | subject |
|---|---|
| text.py | Markdown: tables, and text that it must not obey |
| commands.py | each command, from its click declarations |
| man.py | … and as man pages |
| codes.py | the codes of failures and traps |
| keys.py | the keys of the topology file |
| transports.py | a page for each transport |
| guests.py | what each generation of guests does, situation by situation |
| library.py | names, exceptions, counters |
| recording.py | the README's recording of a terminal, as SVG |
| hook.py | what mkdocs calls |
"""

from __future__ import annotations


def pages() -> dict[str, str]:
    """Every page that is made, by its path below docs/."""
    from manual import codes, commands, guests, keys, library, transports

    return {
        **transports.pages(),
        **commands.pages(),
        **keys.pages(),
        **guests.pages(),
        **codes.pages(),
        **library.pages(),
    }
