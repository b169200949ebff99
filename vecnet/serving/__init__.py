"""Serving a topology: its switches, and the programs that stand outside, in this process until it is told to stop.

A guest's own link to a program has a switch of two ports as well, so that the guest may be killed and boot again while
the program, which takes one connection, goes on.

| file | subject |
|---|---|
| plan.py | which switches and ports a topology asks for, as data |
| served.py | the switches that run, brought from one plan to the next |
| port.py | a port and what stands behind it: a program, a pump |
| folder.py | the private folder of its sockets, which one process has |
| foreground.py | serve until a signal: readiness, reload, the end |
| beside.py | … in a process of its own, beside guests |
| control.py | the socket by which a server is asked what it does |
| join.py | a port of one's own on a switch that is served |
| sweep.py | what `down` removes of a server that was killed |
| notify.py | readiness, in systemd's words |
"""
