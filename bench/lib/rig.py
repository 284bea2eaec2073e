# SPDX-License-Identifier: Apache-2.0
"""One node without the sandbox around it: a hub, an agent in a namespace of its own with an uplink, and nothing else.
For rows about the agent alone: its start, its memory, what a change costs. Pods are wired through the agent's socket
as a container runtime would do it."""
import array
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from . import objects
from .net import Failed, World, in_ns, inside, sh, sysctl, veth
from .weft import PREFIX, RUN, UnixHTTP, cgroup_root, libexec, manifest, program

NODE = "node-1"
FAR = "far"
RIG = PREFIX + "-rig-"
CLONE_NEWNET = 0x40000000
NETLINK_ROUTE, NETLINK_SOCK_DIAG = 0, 4


def node_object(name, address, pods4, pods6):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"podCIDR": pods4, "podCIDRs": [pods4, pods6]},
            "status": {"addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]}}


def socket_in(ns_fd, protocol):
    """A netlink socket opened inside a namespace; only a thread of its own goes there."""
    made = []

    def enter():
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(ns_fd, CLONE_NEWNET) == 0:
            made.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol))

    t = threading.Thread(target=enter)
    t.start()
    t.join()
    if not made:
        raise Failed("cannot enter a pod's namespace")
    return made[0]


class Rig:
    """files: objects that the hub has from a folder at its start; options: more words for the agent, hub_options: for the hub.
    Use as a context; then start_agent()."""

    def __init__(self, tag, files=(), options=(), hub_options=()):
        self.name = f"{RIG}{tag}"
        self.run = os.path.join(RUN, self.name)
        self.bpf = os.path.join(self.run, "bpf")
        self.options = list(options)
        self.hub_options = list(hub_options)
        self.world = World()
        self.folder = tempfile.mkdtemp(prefix="weft-bench-")
        os.chmod(self.folder, 0o755)
        with open(os.path.join(self.folder, "all.yaml"), "w", encoding="utf-8") as f:
            f.write(manifest([objects.namespace(), *files]))
        self.hub = self.agent = self.mounted = self.cgroup = None

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _build(self):
        os.makedirs(self.bpf, exist_ok=True)
        os.makedirs(os.path.join(self.run, NODE), exist_ok=True)
        os.chmod(self.run, 0o755)
        self.node_ns, fabric = self.world.space("rig-node"), self.world.space("rig-fabric")
        veth(fabric, "fab0", self.node_ns, "uplink0")
        in_ns(self.node_ns, "ip addr add 172.31.0.10/24 dev uplink0")
        in_ns(self.node_ns, "ip -6 addr add fd57:e7f7:0:1::10/64 dev uplink0 nodad")
        in_ns(fabric, "ip addr add 172.31.0.1/24 dev fab0")
        sysctl(self.node_ns, "net/ipv4/ip_forward", 1)
        sysctl(self.node_ns, "net/ipv6/conf/all/forwarding", 1)
        sh(["mount", "-t", "bpf", "bpf", self.bpf])
        self.mounted = True
        self.cgroup = os.path.join(cgroup_root(), f"weft.{self.name}")
        os.makedirs(os.path.join(self.cgroup, NODE), exist_ok=True)
        self._start_hub()

    def _start_hub(self):
        log = open(os.path.join(self.run, "hub.log"), "ab")
        self.hub = subprocess.Popen([program("weft-hub"), "--name", self.name, "--dir", self.run, "--mode", "vxlan", "--no-tls",
                                     *self.hub_options,
                                     self.folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.wait("hub ready", lambda: self.api("GET", "/api/v1/namespaces") is not None, 60, self.hub, "hub.log")
        self.api("POST", "/api/v1/nodes", node_object(NODE, "172.31.0.10", "10.244.0.0/24", "fd57:e7f7:0:244::/80"))
        self.api("POST", "/api/v1/nodes", node_object(FAR, "172.31.0.11", "10.245.0.0/16", "fd57:e7f7:0:245::/64"))

    def log(self, name):
        try:
            with open(os.path.join(self.run, name), encoding="utf-8", errors="replace") as f:
                return f.read().strip().splitlines()[-1]
        except (OSError, IndexError):
            return ""

    def wait(self, what, test, limit, process=None, log=None):
        end = time.monotonic() + limit
        while True:
            try:
                if test():
                    return
            except Failed:
                pass
            if process and process.poll() is not None:
                raise Failed(f"not {what}: the process ended: {self.log(log)}")
            if time.monotonic() > end:
                raise Failed(f"not {what} after {limit} s")
            time.sleep(0.001)

    def api(self, method, path, body=None):
        c = UnixHTTP(os.path.join(self.run, "hub.sock"))
        try:
            c.request(method, path, json.dumps(body) if body is not None else None,
                      {"Content-Type": "application/json", "Accept": "application/json"})
            r = c.getresponse()
            text = r.read()
        except OSError as e:
            raise Failed(f"{method} {path}: {e}") from None
        finally:
            c.close()
        if r.status >= 300:
            raise Failed(f"{method} {path}: {r.status} {text[:160].decode(errors='replace')}")
        return json.loads(text)

    # The agent ---------------------------------------------------------------------------------------------------

    def start_agent(self, limit=60, rows=0):
        """Starts the agent; seconds until it says that it enforces, with at least `rows` rows."""
        log = open(os.path.join(self.run, "agent.log"), "ab")
        began = time.monotonic()
        self.agent = subprocess.Popen(inside(self.node_ns, [
            program("weft-agent"), "--name", self.name, "--node", NODE, "--hub", os.path.join(self.run, "hub.sock"),
            "--run", os.path.join(self.run, NODE), "--bpf", os.path.join(self.bpf, NODE), "--cgroup", os.path.join(self.cgroup, NODE),
            "--mode", "vxlan", "--uplink", "uplink0", "--libexec", libexec(),
            "--services4", "10.96.0.0/16", "--services6", "fd57:e7f7:0:96::/112", *self.options]),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

        def enforcing():
            s = self.ask({"op": "status"})
            return s.get("enforcing") and s.get("rows", 0) >= rows

        self.wait("enforcing", enforcing, limit, self.agent, "agent.log")
        return time.monotonic() - began

    def stop_agent(self):
        """Ends the agent and forgets its pins, so that the next start is a first one."""
        if self.agent and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            try:
                self.agent.wait(10)
            except subprocess.TimeoutExpired:
                self.agent.kill()
                self.agent.wait()
        self.agent = None
        shutil.rmtree(os.path.join(self.bpf, NODE), ignore_errors=True)
        subprocess.run(inside(self.node_ns, "ip link del weft-vxlan"), capture_output=True, check=False)

    def ask(self, body, fds=()):
        """One question on the agent's socket."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            s.settimeout(10)
            s.connect(os.path.join(self.run, NODE, "agent.sock"))
            message = json.dumps({"id": 1, **body}).encode()
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            s.sendmsg([message], rights)
            return json.loads(s.recv(1 << 20))
        except (OSError, ValueError) as e:
            raise Failed(f"agent.sock: {e}") from None
        finally:
            s.close()

    def wire(self, pod):
        """Gives a pod (as the API has it) a namespace and asks the agent to wire it."""
        ns = self.world.space("rig-" + pod["metadata"]["name"])
        fd = os.open(f"/run/netns/{ns}", os.O_RDONLY | os.O_CLOEXEC)
        route, diag = socket_in(fd, NETLINK_ROUTE), socket_in(fd, NETLINK_SOCK_DIAG)
        m = pod["metadata"]
        try:
            answer = self.ask({"op": "add", "namespace": m["namespace"], "pod": m["name"], "uid": m["uid"], "containerID": m["uid"],
                               "ifname": "eth0"}, [fd, route.fileno(), diag.fileno()])
        finally:
            os.close(fd)
            route.close()
            diag.close()
        if not answer.get("ok"):
            raise Failed(f"agent: add: {answer.get('error')}")
        return answer

    def pids(self):
        """The agent and its children."""
        out, todo = [], [self.agent.pid]
        while todo:
            pid = todo.pop()
            out.append(pid)
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                    todo += [int(c) for c in f.read().split()]
        return out

    def pin(self, bpf_map):
        for folder, _, names in os.walk(os.path.join(self.bpf, NODE)):
            if bpf_map in names:
                return os.path.join(folder, bpf_map)
        raise Failed(f"no pin of BPF map {bpf_map}")

    def close(self):
        for p in (self.agent, self.hub):
            if p and p.poll() is None:
                p.terminate()
                try:
                    p.wait(5)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
        self.agent = self.hub = None
        self.world.close()
        forget(self.name)
        shutil.rmtree(self.folder, ignore_errors=True)


def forget(name):
    """Removes what a rig leaves in the file system."""
    run = os.path.join(RUN, name)
    if os.path.ismount(os.path.join(run, "bpf")):
        subprocess.run(["umount", os.path.join(run, "bpf")], capture_output=True, check=False)
    shutil.rmtree(run, ignore_errors=True)
    try:
        root = os.path.join(cgroup_root(), f"weft.{name}")
        for folder, _, _ in os.walk(root, topdown=False):
            os.rmdir(folder)
    except (OSError, Failed):
        pass


def clean():
    """Ends and removes the rigs that a killed row left."""
    try:
        names = [n for n in os.listdir(RUN) if n.startswith(RIG)]
    except FileNotFoundError:
        return
    for name in names:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
                if b"--name" in words and words[words.index(b"--name") + 1] == name.encode():
                    os.kill(int(pid), signal.SIGKILL)
            except (OSError, IndexError):
                pass
        time.sleep(0.1)
        forget(name)


def cold_start(rig, rows):
    """Seconds from the agent's start until `rows` rows are in the kernel and read back; then it ends."""
    took = rig.start_agent(60, rows)
    rig.stop_agent()
    return took
