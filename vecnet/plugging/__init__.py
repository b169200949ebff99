"""Devices into a guest that runs, and out of it, by its management console, until it has what its topology says.

A guest tells which devices it has, and which of them are up. It does not tell with which string it made one. So what is
compared is the string of its command line, which it does tell, and what vecnet has plugged since, which is noted in the
guest's own folder. What another program has plugged is not known: such a device is made again where the topology has
it, and otherwise left alone.

| file | subject |
|---|---|
| note.py | what vecnet has plugged into a guest since it booted |
| devices.py | what a guest has, and what it was given |
| steps.py | what is to be done, and doing it |
| report.py | status |
| at_start.py | the devices for which a command line has no room |
"""
