# SPDX-License-Identifier: Apache-2.0
"""What parts of a test in Python share: `play.py WEFT NAME CHECKS-SO-FAR FOLDER` counts its checks on from its script's,
calls the command with its cluster, and opens sockets in pods of namespace default. It ends with finish()."""
import ctypes
import glob
import os
import socket
import subprocess
import sys
import time

weft, name, folder = sys.argv[1], sys.argv[2], sys.argv[4]
counted, failures = int(sys.argv[3]), 0
NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
own = os.open("/proc/self/ns/net", os.O_RDONLY)


def ok(what, good, more=""):
    global counted, failures
    counted += 1
    failures += not good
    print("%sok %d - %s" % ("" if good else "not ", counted, what), flush=True)
    if not good and more:
        print("# " + str(more)[:2000].replace("\n", "\n# "), flush=True)


def wait_for(fn, seconds=30):
    end = time.monotonic() + seconds
    while True:
        v = fn()
        if v or time.monotonic() > end:
            return v
        time.sleep(0.1)


def make_socket(pod, *how):
    return make_socket_in("/run/netns/weft-%s-default.%s" % (name, pod), *how)


def make_socket_in(path, *how):
    ns = os.open(path, os.O_RDONLY)
    try:
        assert libc.setns(ns, NEWNET) == 0
        return socket.socket(*how)
    finally:
        assert libc.setns(own, NEWNET) == 0
        os.close(ns)


def weft_run(*args):
    return subprocess.run([weft, *args, "--name", name], capture_output=True, text=True)


def programs():
    """{(program, node): pid} of this cluster; the hub's node is ''."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                words = f.read().split("\0")
        except OSError:
            continue
        program = os.path.basename(words[0])
        if program.startswith("weft-") and name in words:
            found[program, words[words.index("--node") + 1] if "--node" in words else ""] = int(path.split("/")[2])
    return found


def finish():
    with open(folder + "/count", "w", encoding="ascii") as f:
        f.write(str(counted))
    sys.exit(failures > 0)
