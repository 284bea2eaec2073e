# SPDX-License-Identifier: Apache-2.0
"""
A host behind a slow link: a network namespace of its own (this process's) with one address, joined to another namespace by
two TUN devices between which packets are held for a while, each way. Usage: relay.py NS DEVICE ADDRESS MILLISECONDS; NS has
DEVICE, answers there for ADDRESS and forwards to it. Prints a line when packets flow; ends with its parent. Each line of its
input is the milliseconds from then on.
"""
import collections, ctypes, fcntl, os, select, signal, struct, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)
TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET, PR_SET_PDEATHSIG = 0x400454CA, 1, 0x1000, 0x40000000, 1


def checked(result, what):
    if result:
        raise OSError(ctypes.get_errno(), what)


def tun():
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"slow0", IFF_TUN | IFF_NO_PI))
    run("ip link set slow0 up")
    return fd


def run(command):
    subprocess.run(command.split(), check=True)


def main():
    ns, device, address, delay = sys.argv[1:]
    delay = int(delay) / 1000
    checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
    fd = os.open(ns, os.O_RDONLY)
    checked(libc.setns(fd, 0), ns)
    near = tun()
    run("sysctl -qw net.ipv4.ip_forward=1")
    run(f"ip route add {address}/32 dev slow0")
    run(f"ip neigh add proxy {address} dev {device}")
    checked(libc.unshare(CLONE_NEWNET), "unshare")
    run("ip link set lo up")
    far = tun()
    run(f"ip addr add {address}/32 dev slow0")
    run("ip route add default dev slow0")
    print("ready", flush=True)
    held = collections.deque()  # when, to, packet: none overtakes another
    inputs = [near, far, 0]
    while True:
        wait = max(0, held[0][0] - time.monotonic()) if held else None
        ready = select.select(inputs, [], [], wait)[0]
        if 0 in ready:
            line = os.read(0, 64).split()
            delay = int(line[-1]) / 1000 if line else delay
            inputs = inputs if line else [near, far]
        for one, other in (near, far), (far, near):
            if one in ready:
                held.append((time.monotonic() + delay, other, os.read(one, 65536)))
        while held and held[0][0] <= time.monotonic():
            _, to, packet = held.popleft()
            os.write(to, packet)


main()
