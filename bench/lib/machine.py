# SPDX-License-Identifier: Apache-2.0
"""What this machine is, for the head of the results, and whether its kernel charges soft interrupts to threads."""
import gzip
import os
import platform
import subprocess
import time


def _read(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return default


def _config():
    try:
        with gzip.open("/proc/config.gz", "rt") as f:
            return f.read()
    except OSError:
        return _read(f"/boot/config-{os.uname().release}")


def softirq_in_thread_time():
    """Without CONFIG_IRQ_TIME_ACCOUNTING, work done in a soft interrupt on top of a thread counts as its time."""
    return "CONFIG_IRQ_TIME_ACCOUNTING=y" not in _config()


def _first(cmd):
    try:
        return subprocess.run(cmd, capture_output=True, text=True, timeout=5).stdout.splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "missing"


def describe():
    cpu = [l.split(":", 1)[1].strip() for l in _read("/proc/cpuinfo").splitlines() if l.startswith("model name")]
    mem = next((int(l.split()[1]) for l in _read("/proc/meminfo").splitlines() if l.startswith("MemTotal")), 0)
    virtual = any("hypervisor" in l for l in _read("/proc/cpuinfo").splitlines() if l.startswith("flags"))
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "CPU": f"{cpu[0] if cpu else platform.machine()}, {len(cpu)} cores" + (", virtual machine" if virtual else ""),
        "memory": f"{mem / 1048576:.0f} GiB",
        "kernel": f"{os.uname().release} {os.uname().machine}",
        "load at the start": _read("/proc/loadavg").strip(),
        "peers": "; ".join([_first(["iptables", "--version"]), _first(["nft", "--version"]), _first(["iperf3", "--version"])]),
    }
