# SPDX-License-Identifier: Apache-2.0
"""bench-load in pods of namespace default: servers and clients with counts of their own, and what Weft's programs cost
meanwhile. For play.py of this folder and for test/run/overload."""
import functools
import glob
import http.client
import json
import os
import socket
import subprocess

from pod_calls import name, weft_run

GENERATOR = os.path.abspath(os.environ["GENERATOR"])
TICK = os.sysconf("SC_CLK_TCK")


def cgroup(pod):
    for root in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        for path in glob.glob("%s/weft.%s/*/default.%s/cgroup.procs" % (root, name, pod)):
            return path
    raise SystemExit("pod %s has no cgroup" % pod)


def run(pod, *words):
    """The generator in a pod's namespace and cgroup, so that Services are translated for it as for the pod itself."""
    path = cgroup(pod)

    def join():
        with open(path, "w", encoding="ascii") as f:
            f.write(str(os.getpid()))
    words = ["nsenter", "--net=/run/netns/weft-%s-default.%s" % (name, pod), "--", GENERATOR, *map(str, words)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, preexec_fn=join)


def counted(process):
    """What it counted, once it has ended."""
    return json.loads(process.communicate()[0])


def server(pod, port):
    p = run(pod, "serve", port)
    assert p.stdout.readline() == "ready\n", "%s does not serve" % pod
    return p


def end(process):
    process.terminate()
    return counted(process)


@functools.lru_cache
def ips(pod):
    """Its address in each family."""
    return [i["ip"] for i in json.loads(weft_run("get", "pod", pod, "-o", "json").stdout)["status"]["podIPs"]]


def hub(path, question):
    """What the hub answers to a question, or None."""
    c = http.client.HTTPConnection("hub", timeout=60)
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.settimeout(60)
    try:
        c.sock.connect("/run/weft/%s/hub.sock" % name)
        c.request("POST", "/apis/weft.network/internal/" + path, json.dumps(question), {"Content-Type": "application/json"})
        r = c.getresponse()
        text = r.read()
        return json.loads(text) if r.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        c.close()


def cost(pids):
    """(seconds of CPU, MiB) of each program."""
    out = {}
    for key, pid in pids.items():
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            words = f.read().rsplit(")", 1)[1].split()
        with open("/proc/%d/statm" % pid, encoding="ascii") as f:
            pages = int(f.read().split()[1])
        out[key] = ((int(words[11]) + int(words[12])) / TICK, pages * os.sysconf("SC_PAGE_SIZE") / 1048576)
    return out
