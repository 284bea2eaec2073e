#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""terminal.py ROWS COLUMNS [WAIT TYPE]… -- COMMAND…: runs a command at a terminal of that size; after each text that it
WAITs for it TYPEs (a text with its escapes, or "size:ROWS:COLUMNS": the window changes). Prints what the terminal shows;
ends with the command's status, or 124 when a text did not come within 30 seconds."""
import fcntl, os, pty, select, struct, sys, termios, time

end = sys.argv.index("--")
rows, columns, steps, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:end], sys.argv[end + 1 :]


def size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


pid, fd = pty.fork()
if not pid:
    size(0, rows, columns)
    os.execvp(command[0], command)
seen, limit = b"", time.monotonic() + 30
while time.monotonic() < limit:
    if steps and steps[0].encode() in seen:
        seen, what = seen.split(steps[0].encode(), 1)[1], steps[1]
        if what.startswith("size:"):
            size(fd, *map(int, what.split(":")[1:]))
        else:
            os.write(fd, what.encode().decode("unicode_escape").encode("latin-1"))
        steps, limit = steps[2:], time.monotonic() + 30
    if not select.select([fd], [], [], 0.2)[0]:
        continue
    try:
        data = os.read(fd, 65536)
    except OSError:
        data = b""
    if not data:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
    seen += data
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
os.kill(pid, 9)
sys.exit(124)
