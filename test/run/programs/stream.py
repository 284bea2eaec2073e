# SPDX-License-Identifier: Apache-2.0
"""Speaks serve/stream.h with a sandbox's streams.sock, as the hub does: stream.py SOCKET REQUEST [stdin|-] [SECONDS].

Prints what comes: stdout and stderr as they are, the status as a last line "status TEXT", a refusal as "refused CODE
TEXT". stdin: text that is sent, then closed; "-": nothing is sent, and stdin stays open. After SECONDS it goes away.
"""
import json
import select
import signal
import socket
import struct
import sys
import time

signal.signal(signal.SIGPIPE, signal.SIG_DFL)
where, request = sys.argv[1], json.loads(sys.argv[2])
text = sys.argv[3] if len(sys.argv) > 3 else "-"
seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 20
s = socket.socket(socket.AF_UNIX)
s.connect(where)
s.sendall(json.dumps(request).encode() + b"\n")
have = b""
while b"\n" not in have:
    more = s.recv(65536)
    if not more:
        sys.exit("no answer")
    have += more
line, have = have.split(b"\n", 1)
answer = json.loads(line)
if answer:
    print("refused", answer["code"], answer["message"])
    sys.exit(1)


def send(channel, data):
    """Who has ended already does not read it."""
    try:
        s.sendall(struct.pack(">BBH", channel, 0, len(data)) + data, socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError):
        pass


if request.get("resize"):
    send(4, json.dumps(request["resize"]).encode())
if text != "-":
    for i in range(0, len(text.encode()), 32768):
        send(0, text.encode()[i:i + 32768])
    if not request.get("tty"):
        send(255, b"\0")
end = time.time() + seconds
status = 0
while time.time() < end:
    while len(have) >= 4:
        channel, _, n = struct.unpack(">BBH", have[:4])
        if len(have) < 4 + n:
            break
        data, have = have[4:4 + n], have[4 + n:]
        if channel in (1, 2):
            sys.stdout.buffer.write(b"" if channel == 1 else b"E:")
            sys.stdout.buffer.write(data)
        elif channel == 3:
            o = json.loads(data)
            causes = o.get("details", {}).get("causes", [])
            sys.stdout.buffer.write(("status %s %s\n" % (o["status"], causes[0]["message"] if causes else "")).encode())
        sys.stdout.buffer.flush()
    if not select.select([s], [], [], max(0, end - time.time()))[0]:
        break
    try:
        more = s.recv(65536)
    except ConnectionResetError:
        break
    if not more:
        break
    have += more
