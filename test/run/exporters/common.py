# SPDX-License-Identifier: Apache-2.0
"""What the exporters' tests share: traffic with its own count, the hub's metrics, exporters of the test's own."""
import json
import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from pod_calls import folder, make_socket, name, ok, wait_for, weft, weft_run  # noqa: E402

run_dir = "/run/weft/" + name
HEADERS = 42  # Ethernet, IPv4, UDP: a record's bytes are those of the frame


def ip(pod):
    return json.loads(weft_run("get", "pod", pod, "-o", "json").stdout)["status"]["podIP"]


class Refused:
    """Datagrams that a policy refuses on their own node: each is a record at once, and can be told apart by port and size."""

    def __init__(self):
        self.to, self.sockets, self.sent = ip("shut"), {}, []

    def send(self, n, port, pause_each=50):
        s = self.sockets.get(port) or make_socket("near", socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets[port] = s
        first = len([x for x in self.sent if x[0] == port])
        for i in range(first, first + n):
            s.sendto(b"x" * (i % 1200), (self.to, port))
            self.sent.append((port, i % 1200 + HEADERS))
            if i % pause_each == 0:
                time.sleep(0.001)


def metrics():
    text = subprocess.run(["curl", "-s", "--unix-socket", run_dir + "/hub.sock", "http://x/metrics"], capture_output=True, text=True).stdout
    return {m.group(1): float(m.group(2)) for m in re.finditer(r"^(weft_\S+(?:\{.*\})?) (\S+)$", text, re.M)}


def exporter(to, what, more=""):
    """A number of the exporter to there, or None."""
    for key, v in metrics().items():
        if key.startswith("weft_exporter_%s{" % what) and 'exporter="%s"' % to in key and more in key:
            return v
    return None


def lost(to, cause):
    return exporter(to, "lost_records_total", 'cause="%s"' % cause)


def ended():
    """Records of ended connections and drops that entered the hub, but for those that another node has too."""
    return int(sum(v for k, v in metrics().items() if k.startswith("weft_flow_ended_total{") and 'again="0"' in k))


class Exporter:
    """`weft export --follow`, which can be killed and started again."""

    def __init__(self, *args, wait=True):
        self.args, self.process, self.to = args, None, args[args.index("--to") + 1]
        self.log = "%s/export-%d.log" % (folder, len(os.listdir(folder)))
        self.start()
        if wait:
            wait_for(lambda: exporter(self.to, "up") == 1)

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([weft, "export", "--follow", "--name", name, *self.args], stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def said(self):
        return open(self.log).read()
