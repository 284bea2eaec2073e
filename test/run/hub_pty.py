#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hub_pty.py ROWS COLUMNS COMMAND…: runs a command at a terminal of that size and prints what it shows there."""
import fcntl, os, pty, struct, sys, termios

pid, fd = pty.fork()
if not pid:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", int(sys.argv[1]), int(sys.argv[2]), 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
