"""A wire of a topology as pcapng, while it runs.

    the host's interface ── a packet socket ─────────────────────┐
    what carries a tunnel ── a packet socket, frames unwrapped ──┼── pcapng ── a file, a ring of files, a pipe
    a served switch's port ── its recorder ──────────────────────┘

None waits for us: what we do not read in time is lost, and told.

| file | subject |
|---|---|
| source.py | where a link can be listened at |
| move.py | from the one to the other |
| sink.py | where the packets go, and how many of them |
"""
