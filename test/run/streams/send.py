# SPDX-License-Identifier: Apache-2.0
"""send.py PORT < FILE: sends all of it to 127.0.0.1:PORT, ends its side, and prints what comes back until the end."""
import shutil, socket, sys

s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
shutil.copyfileobj(sys.stdin.buffer, s.makefile("wb"))
s.shutdown(socket.SHUT_WR)
while data := s.recv(65536):
    sys.stdout.buffer.write(data)
