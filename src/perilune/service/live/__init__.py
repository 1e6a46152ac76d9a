"""Live: sources are followed, their rows go into the lake, what the rules find in them becomes cases.

sources.py      what a source is: it is asked for what is new after a position, and knows nothing else
tail.py         a file that grows and is rotated; folder.py: all of a folder
journal.py      what cannot be asked for twice (sockets, the kernel) is first written to files, which are followed
syslog.py http.py audit.py   who writes such journals
addresses.py    `file:…`, `syslog+tcp://…` -> sources
taking.py       sources -> lake: rows and positions as one
detecting.py    lake -> findings -> cases, each finding once
watcher.py      the loop; status.py: what is told of it
"""
