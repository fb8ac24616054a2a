"""What it costs, and whether that is still what is wanted: ``make bench``.

One module for each question (`fanout`, `hook`, `memory`, `scale`, `wire`, `source`). Whatever is compared
is measured in turns within one run, so that a noisy machine is noisy to all of it: what counts are the
ratios. Clients live in a process of their own (`readers`), which never waits for anything but them.

Linux only: all of ``127.0.0.0/8`` has to be this machine, and ``/proc`` has to be there.
"""
