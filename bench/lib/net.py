# SPDX-License-Identifier: Apache-2.0
"""Namespaces, links and processes of the bench. Everything is named PREFIX…, so that clean() finds what a killed run
left; nothing outside those names is touched. Packets stay between these namespaces."""
import json
import os
import shutil
import signal
import subprocess

RUN_NAME = os.environ.get("WEFT_BENCH", "bench")
PREFIX = f"weft-{RUN_NAME}-"
BUILD = os.environ.get("BUILD", "build")


class Failed(Exception):
    """A row cannot be measured; the text stands in the table."""


def sh(cmd, stdin=None, timeout=60):
    """A command line of words; its stdout. Failed with its stderr else."""
    words = cmd.split() if isinstance(cmd, str) else cmd
    try:
        p = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError:
        raise Failed(f"{words[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(words)[:80]} took more than {timeout} s") from None
    if p.returncode:
        raise Failed(f"{' '.join(words)[:80]}: {(p.stderr or p.stdout).strip()[-200:] or p.returncode}")
    return p.stdout


def tool(name):
    path = os.path.join(BUILD, "bench", name)
    if not os.access(path, os.X_OK):
        raise Failed(f"{path} is not built")
    return path


def namespace_path(ns):
    return f"/run/netns/{ns}"


def inside(ns, cmd):
    """The words that run cmd in namespace ns (not `ip netns exec`, which hides cgroups and bpffs)."""
    words = cmd.split() if isinstance(cmd, str) else list(cmd)
    return ["nsenter", f"--net={namespace_path(ns)}", "--"] + words if ns else words


def in_ns(ns, cmd, stdin=None, timeout=60):
    return sh(inside(ns, cmd), stdin, timeout)


def joiner(cgroup):
    def join():
        with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))

    return join if cgroup else None


def run_json(ns, cmd, cgroup=None, timeout=60):
    """Runs a bench tool in a namespace (and cgroup) and reads its one JSON line."""
    try:
        p = subprocess.run(inside(ns, cmd), capture_output=True, text=True, timeout=timeout, preexec_fn=joiner(cgroup))
    except subprocess.TimeoutExpired:
        raise Failed(f"{cmd[0]} took more than {timeout} s") from None
    if p.returncode:
        raise Failed(f"{os.path.basename(cmd[0])}: {(p.stderr or p.stdout).strip()[-200:]}")
    return json.loads(p.stdout)


class World:
    """What a row made: namespaces and processes, undone in reverse order at its end."""

    def __init__(self):
        self.spaces, self.children = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for p in self.children:
            if p.poll() is None:
                p.kill()
            p.wait()
        for ns in reversed(self.spaces):
            subprocess.run(["ip", "netns", "del", ns], capture_output=True, check=False)
        self.spaces, self.children = [], []

    def space(self, name):
        ns = PREFIX + name
        sh(["ip", "netns", "add", ns])
        self.spaces.append(ns)
        in_ns(ns, "ip link set lo up")
        return ns

    def spawn(self, ns, cmd, cgroup=None, ready=None):
        """A process that lives as long as the row; with ready, waits for that line on its stdout."""
        p = subprocess.Popen(inside(ns, cmd), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if ready else subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, text=True, preexec_fn=joiner(cgroup))
        self.children.append(p)
        if ready and p.stdout.readline().strip() != ready:
            raise Failed(f"{cmd[0]} did not start")
        return p


def veth(ns_a, dev_a, ns_b, dev_b, mtu=1500):
    """A veth pair between two namespaces, both ends up."""
    sh(f"ip link add {dev_a} netns {ns_a} mtu {mtu} type veth peer name {dev_b} netns {ns_b} mtu {mtu}")
    in_ns(ns_a, f"ip link set {dev_a} up")
    in_ns(ns_b, f"ip link set {dev_b} up")


def mac(ns, dev):
    return json.loads(in_ns(ns, f"ip -j link show {dev}"))[0]["address"]


def sysctl(ns, name, value):
    in_ns(ns, ["sh", "-c", f"echo {value} > /proc/sys/{name}"])


def sink(ns, dev, port):
    """Drops UDP datagrams to port at the device's ingress and counts them: the cost of the path ends there."""
    in_ns(ns, ["nft", "-f", "-"], stdin=f"""
        add table netdev bench
        flush table netdev bench
        add counter netdev bench seen
        add chain netdev bench ingress {{ type filter hook ingress device "{dev}" priority -500; }}
        add rule netdev bench ingress udp dport {port} counter name seen drop
    """)


def sink_count(ns):
    out = json.loads(in_ns(ns, "nft -j list counter netdev bench seen"))
    return next(x["counter"]["packets"] for x in out["nftables"] if "counter" in x)


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise Failed(f"{p} is missing")


def clean():
    """Removes the namespaces that an earlier, killed run left, and ends what still runs in them."""
    try:
        names = [n for n in os.listdir("/run/netns") if n.startswith(PREFIX)]
    except FileNotFoundError:
        return
    for ns in names:
        pids = subprocess.run(["ip", "netns", "pids", ns], capture_output=True, text=True, check=False).stdout.split()
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except (ProcessLookupError, ValueError):
                pass
        subprocess.run(["ip", "netns", "del", ns], capture_output=True, check=False)
