# SPDX-License-Identifier: Apache-2.0
"""What tests of a live broker between plain interfaces share: the program with its accounts, ears at tools, frames that are
sent, a transfer of merged packets."""
import atexit
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, "test/cli/broker")
from lab import *

tmp = sys.argv[1]
SECONDS = 20


def wait(what, seconds=SECONDS):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.01)
    return what()


def written(path, objects):
    with open(path + ".new", "w") as f:
        f.write("---\n".join(json.dumps(o, indent=1) + "\n" for o in objects))
    os.rename(path + ".new", path)


class Live:
    def __init__(self, name, objects, *args, file=None):
        self.maps = file or f"{tmp}/{name}.yaml"
        if not file:
            written(self.maps, objects)
        self.out = open(f"{tmp}/{name}.out", "w+")
        self.err = open(f"{tmp}/{name}.err", "w+")
        self.p = subprocess.Popen([WEFT, "broker", self.maps, "-o", "json", *args], stdout=self.out, stderr=self.err)
        atexit.register(self.p.kill)

    def said(self):
        with open(self.err.name) as f:
            return f.read()

    def accounts(self):
        """All that were printed: one a second, and the last."""
        with open(self.out.name) as f:
            text = f.read()
        found, at, decoder = [], 0, json.JSONDecoder()
        while text[at:].strip():
            try:
                value, end = decoder.raw_decode(text, at + len(text[at:]) - len(text[at:].lstrip()))
            except ValueError:
                break
            found.append(value)
            at = end
        return found

    def epoch(self, n):
        return wait(lambda: self.p.poll() is not None or (self.accounts() and self.accounts()[-1].get("epoch", 0) >= n))

    def end(self):
        self.p.send_signal(signal.SIGINT)
        try:
            status = self.p.wait(60)
        except subprocess.TimeoutExpired:
            self.p.kill()
            status = self.p.wait()
        last = self.accounts()[-1:] or [{}]
        if status:
            print("#", self.said().replace("\n", "\n# "))
            print("#", json.dumps(last[0]))
        return status, last[0]


class Ear:
    def __init__(self, link):
        self.path = f"{tmp}/{link}.pcap"
        self.p = subprocess.Popen(["tcpdump", "-i", link, "-Q", "in", "-B", "32768", "-s", "9100", "-U", "-w", self.path, "--immediate-mode"],
                                  stderr=subprocess.PIPE, text=True)
        atexit.register(self.p.kill)  # nothing once it has ended
        self.p.stderr.readline()

    def frames(self):
        self.p.send_signal(signal.SIGINT)
        said = self.p.communicate(timeout=20)[1]
        if "\n0 packets dropped by kernel" not in said:
            print("# tcpdump itself lost packets:", said.replace("\n", "\n# "))
        return [p[3] for p in tcpdump(self.path) or []]


def send(frames, link="gen0"):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((link, 0))
    for i, f in enumerate(frames):
        s.send(f)
        if i % 20 == 19:
            time.sleep(0.001)
    s.close()


def udp(port, number=0, size=60):
    head = MACS + b"\x08\x00" + ip4(17, struct.pack("!HHHH", 99, port, size - 34, 0) + bytes(size - 42), ident=number)
    return head


def tcp(port, number):
    return MACS + b"\x08\x00" + ip4(6, struct.pack("!HHIIBBHHH", 99, port, number, 0, 0x50, 0x10, 64, 0, 0) + bytes(6), ident=number)


def sh(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


def transfer(far):
    """3 MB of TCP from the namespace `far` behind gen0 to src0, merged by the kernel wherever it can."""
    server = socket.create_server(("10.9.0.1", 80))
    client = subprocess.Popen(["ip", "netns", "exec", far, sys.executable, "-c",
                               "import socket; s = socket.create_connection(('10.9.0.1', 80)); s.sendall(bytes(range(256)) * 12000)"])
    conn = server.accept()[0]
    got = 0
    while chunk := conn.recv(1 << 20):
        got += len(chunk)
    client.wait()
    return got
