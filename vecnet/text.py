"""Text that others wrote, on its way to people: what a terminal must not obey is escaped, and what has no end is cut.

A name, a tag, an alias or a value may hold anything. Shown as it is, a control character moves the cursor, a line end
forges a line, and a bidi control turns a sentence around (Unicode Technical Report 36, section 2). So all that is shown
passes through `shown`, at the few places that everything must go through: an error's problems (errors.py), a probe's
result, and the lines of the command line.
"""

from __future__ import annotations

from functools import cache

LONGEST = 1000  # characters of a sentence, about twelve lines of a terminal


def shown(text: str, longest: int = LONGEST) -> str:
    """`text` in one line of printable characters, the others as Python escapes them; too long a one is cut.

    Doing it twice changes nothing. The middle is what is cut, since a sentence says at its end what is wrong.
    """
    if len(text) > 2 * longest:
        text = text[:longest] + text[-longest:]  # the rest is cut below, and need not be escaped first
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    if len(text) > longest:
        half = (longest - 1) // 2
        text = f"{text[:half]}…{text[-half:]}"
    return text


@cache
def a(name: str) -> str:
    """A transport's name with its article, as it is spoken: a tap, an fd, an l2tpv3."""
    spelled = not any(vowel in name for vowel in "aeiou")
    return f"{'an' if name.startswith(tuple('fhlmnrsx' if spelled else 'aeiou')) else 'a'} {name}"
