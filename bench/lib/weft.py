# SPDX-License-Identifier: Apache-2.0
"""Weft under measurement: a sandbox brought up from generated manifests, its pods' namespaces and cgroups, its API
over the hub's socket. Every cluster of the bench is named bench…, so that clean() finds what a killed run left."""
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

from . import net
from .net import Failed

RUN = "/run/weft"
PREFIX = net.RUN_NAME


def libexec():
    return os.path.abspath(os.path.join(net.BUILD, "libexec", "weft"))


def program(name="weft"):
    path = os.path.join(libexec(), name) if name != "weft" else os.path.abspath(os.path.join(net.BUILD, "src", "cli", name))
    if not os.access(path, os.X_OK):
        raise Failed(f"{name} is not built")
    return path


def cgroup_root():
    for path in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.path.exists(os.path.join(path, "cgroup.procs")) and os.path.exists(os.path.join(path, "cgroup.controllers")):
            return path
    raise Failed("no cgroup2 is mounted")


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Cluster:
    """`weft up` of some manifests; use as a context. files: {name: text or list of objects}."""

    def __init__(self, tag, files=None, folder=None, nodes=2, mode="vxlan", options=()):
        self.name = PREFIX + tag
        self.own = None
        if folder is None:
            self.own = folder = tempfile.mkdtemp(prefix="weft-bench-")
            os.chmod(folder, 0o755)
            for name, content in files.items():
                with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                    f.write(content if isinstance(content, str) else manifest(content))
        self.folder = folder
        self.run = os.path.join(RUN, self.name)
        self.up_words = [program(), "up", folder, "--name", self.name, "--nodes", str(nodes), "--mode", mode, "-d", *options]
        self.began = self.up_seconds = self.down_seconds = None

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def up(self, timeout=60):
        self.began = time.monotonic()
        net.sh(self.up_words, timeout=timeout)
        self.up_seconds = time.monotonic() - self.began

    def close(self):
        if self.began is not None and self.down_seconds is None:
            began = time.monotonic()
            subprocess.run([program(), "down", "--name", self.name], capture_output=True, timeout=30, check=False)
            self.down_seconds = time.monotonic() - began
        if self.own:
            shutil.rmtree(self.own, ignore_errors=True)
            self.own = None

    def left_behind(self):
        """What should be gone after close()."""
        left = [p for p in (self.run, os.path.join(cgroup_root(), f"weft.{self.name}")) if os.path.exists(p)]
        left += [n for n in os.listdir("/run/netns") if n.startswith(f"weft-{self.name}-")] if os.path.isdir("/run/netns") else []
        with open("/proc/self/mounts", encoding="utf-8") as f:
            left += [l.split()[1] for l in f if f"/{self.name}/" in l]
        return ", ".join(left[:5])

    # The API -----------------------------------------------------------------------------------------------------

    def api(self, method, path, body=None, kind="application/json"):
        c = UnixHTTP(os.path.join(self.run, "hub.sock"))
        try:
            c.request(method, path, json.dumps(body) if body is not None else None,
                      {"Content-Type": kind, "Accept": "application/json"})
            r = c.getresponse()
            text = r.read()
        except OSError as e:
            raise Failed(f"{method} {path}: {e}") from None
        finally:
            c.close()
        if r.status >= 300:
            raise Failed(f"{method} {path}: {r.status} {text[:160].decode(errors='replace')}")
        return json.loads(text)

    def control(self, request):
        """One request to the sandbox's control socket; its first answer."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            s.settimeout(10)
            s.connect(os.path.join(self.run, "sandbox.sock"))
            s.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(s.makefile().readline())
        except (OSError, ValueError) as e:
            raise Failed(f"sandbox.sock: {e}") from None
        finally:
            s.close()

    def pod(self, namespace, name):
        return self.api("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")

    def wait(self, what, test, limit=20.0, pause=0.005):
        """Polls until test() is true; the time since `weft up` began, s."""
        end = time.monotonic() + limit
        while True:
            try:
                if test():
                    return time.monotonic() - self.began
            except Failed:
                pass
            if time.monotonic() > end:
                raise Failed(f"{self.name}: not {what} after {limit:.0f} s")
            time.sleep(pause)

    def status(self):
        s = self.control({"op": "status"})
        if not s.get("ok"):
            raise Failed(f"sandbox.sock: {s.get('error')}")
        return s

    def wait_running(self, limit=20.0):
        def test():
            s = self.status()
            return s["pods"] > 0 and s["running"] == s["pods"]

        return self.wait("all pods running", test, limit)

    # Where things are --------------------------------------------------------------------------------------------

    def netns(self, namespace, pod):
        return f"weft-{self.name}-{namespace}.{pod}"

    def node_netns(self, node):
        return f"weft-{self.name}-{node}"

    def node_address(self, node):
        addresses = self.api("GET", f"/api/v1/nodes/{node}")["status"]["addresses"]
        return next(a["address"] for a in addresses if a["type"] == "InternalIP" and ":" not in a["address"])

    def cgroup(self, node, namespace, pod):
        return os.path.join(cgroup_root(), f"weft.{self.name}", node, f"{namespace}.{pod}")

    def path(self, label, sender, receiver):
        """A net path between two pods (namespace, name)."""
        from .paths import Path

        a, b = self.pod(*sender), self.pod(*receiver)
        return Path(label, self.netns(*sender), self.netns(*receiver), b["status"]["podIP"], "eth0",
                    self.cgroup(a["spec"]["nodeName"], *sender), self.cgroup(b["spec"]["nodeName"], *receiver))


def manifest(objects):
    """Objects as a YAML stream (JSON documents are YAML)."""
    return "".join("---\n" + json.dumps(o) + "\n" for o in objects)


def clean():
    """Takes down the clusters of the bench that an earlier, killed run left."""
    try:
        names = [n for n in os.listdir(RUN) if n.startswith(PREFIX) and not n.startswith(PREFIX + "-rig-")]
    except FileNotFoundError:
        return
    for name in names:
        try:
            subprocess.run([program(), "down", "--name", name], capture_output=True, timeout=30, check=False)
        except (Failed, subprocess.TimeoutExpired):
            pass
