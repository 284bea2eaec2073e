# SPDX-License-Identifier: Apache-2.0
"""What the parts of badluck*.sh share beside test/run/services/cluster.py: agents and their words, `weft`."""
import json
import os
import signal
import socket
import subprocess

from cluster import NAME, RUN, WEFT

PROGRAMS = ("weft-agent", "weft-planner", "weft-applier", "weft-observer")


def weft(*words):
    """Its status and all that it printed."""
    done = subprocess.run([WEFT, *words, "--name", NAME], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


def agent(node, op):
    """What the node's agent answers, or None."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        s.settimeout(5)
        s.connect("%s/%s/agent.sock" % (RUN, node))
        s.send(json.dumps({"id": 1, "op": op}).encode())
        return json.loads(s.recv(400000))
    except OSError:
        return None
    finally:
        s.close()


def readback(node):
    """How the kernel differs from the plan; "" when it does not."""
    told = agent(node, "readback")
    return told["text"] if told and told["ok"] else "no answer"


def control(**request):
    """The first line that the sandbox answers."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(RUN + "/sandbox.sock")
    s.sendall(json.dumps(request).encode() + b"\n")
    data = b""
    while b"\n" not in data:
        data += s.recv(65536)
    s.close()
    return json.loads(data.split(b"\n")[0])


def pids(node):
    """Processes of the node's agent, this cluster's only."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                words = f.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if os.path.basename(words[0]) in PROGRAMS and NAME in words and node in words:
            found.append(int(pid))
    return found


def kill_agent(node):
    for pid in pids(node):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def resident(node, program):
    """KiB of that program of the node's agent."""
    for pid in pids(node):
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            words = dict(line.split(":", 1) for line in f)
        if words["Name"].strip() == program[:15]:
            return int(words["VmRSS"].split()[0])
    return 0
