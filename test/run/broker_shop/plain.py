# SPDX-License-Identifier: Apache-2.0
"""Called by broker_shop.sh, WEFT NAMESPACE CHECKS-SO-FAR FOLDER: the cluster's map file between the interfaces eth1, eth2 and ids0
of a namespace (and eth3, which only the rest looks at), and over the captures a.pcap and b.pcap of the same frames: what tools get is
the same, packet by packet."""
import atexit
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from pod_calls import finish, folder, ok, wait_for, weft  # noqa: E402

ns, maps = sys.argv[2], os.path.join(HERE, "maps.yaml")


def raw(path):
    """The bytes of each packet of a capture."""
    plain = path + ".plain"
    subprocess.run(["tcpdump", "-r", path, "-w", plain], check=True, stderr=subprocess.DEVNULL)
    with open(plain, "rb") as f:
        data = f.read()
    at, found = 24, []
    while at + 16 <= len(data):
        n = int.from_bytes(data[at + 8:at + 12], "little")
        found.append(data[at + 16:at + 16 + n])
        at += 16 + n
    return found


def inside(*words, **how):
    p = subprocess.Popen(["nsenter", "--net=/run/netns/" + ns, *words], **how)
    atexit.register(p.kill)  # of what has ended, nothing
    return p


subprocess.run(["ip", "netns", "add", ns], check=True)
assert inside("sh", "-ec", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; ip link set lo up; "
              "for p in eth1:gen1 eth2:gen2 eth3:gen3 ids0:ids1; do ip link add ${p%:*} mtu 9000 type veth peer name ${p#*:} mtu 9000; "
              "ip link set ${p%:*} up; ip link set ${p#*:} up; done").wait() == 0
for where in ("live", "captures"):
    os.mkdir("%s/%s" % (folder, where))
os.chmod(folder, 0o755)
os.chmod(folder + "/live", 0o777)
with open(folder + "/broker.out", "w") as out, open(folder + "/broker.err", "w") as err:
    broker = inside(weft, "broker", maps, "--out", folder + "/live", "-o", "json", stdout=out, stderr=err)
dump = inside("tcpdump", "-i", "ids1", "-Q", "in", "-n", "-s", "9100", "-U", "-w", folder + "/ids.pcap", stderr=subprocess.PIPE, text=True)
dump.stderr.readline()


def said():
    return open(folder + "/broker.err").read() + open(folder + "/broker.out").read()


ok("the cluster's file runs on a host with three plain interfaces", wait_for(lambda: '"epoch"' in said() and broker.poll() is None), said())
time.sleep(1)
for wire, path in (("gen1", "a"), ("gen2", "b"), ("gen3", "a")):
    p = inside("tcpreplay", "-q", "-i", wire, "--pps", "3000", "%s/%s.pcap" % (folder, path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = p.communicate(timeout=60)[0]
    assert p.returncode == 0, text
a, b = raw(folder + "/a.pcap"), raw(folder + "/b.pcap")
wait_for(lambda: len(raw(folder + "/ids.pcap")) >= len(a), 10)
time.sleep(1)
asked = inside(weft, "capture", "--broker", "--last", "600s", "-w", folder + "/live/last.pcapng", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
text = asked.communicate(timeout=60)[0]
ok("the ring of a host is read while it runs", asked.returncode == 0, text)
shutil.rmtree("/run/weft-broker/%d" % os.stat("/run/netns/" + ns).st_ino, ignore_errors=True)  # its log of who looked
broker.send_signal(signal.SIGINT)
ok("its sums match", broker.wait(60) == 0, said()[-3000:])
dump.send_signal(signal.SIGINT)
dump.communicate()
p = subprocess.run([weft, "broker", maps, "--pcap", "eth1=%s/a.pcap" % folder, "--pcap", "eth2=%s/b.pcap" % folder,
                    "--pcap", "eth3=%s/a.pcap" % folder, "--out", folder + "/captures", "-o", "json"],
                   capture_output=True, text=True)
ok("it runs over captures, and its sums match", p.returncode == 0, p.stderr + p.stdout)
got, over = raw(folder + "/ids.pcap"), raw(folder + "/captures/ids.default.pcapng")
ok("the tool's interface got what came in at eth1, packet by packet: %d" % len(a), got == a, (len(got), len(a)))
ok("over captures it is the same", over == a, (len(over), len(a)))
got, over = raw(folder + "/live/payments.pcapng"), raw(folder + "/captures/payments.default.pcapng")
ok("what came in at eth2 is in the masked file, in both ways the same bytes: %d" % len(b), got == over and len(got) == len(b), (len(got), len(over), len(b)))
got, over = raw(folder + "/live/last.pcapng"), raw(folder + "/captures/last.default.pcapng")
ok("the ring has what came in at eth3 and nothing that a map took, in both ways the same bytes: %d" % len(a), got == over == a, (len(got), len(over), len(a)))
got = raw(folder + "/live/payments.pcapng")
ok("masked, and not a byte longer or shorter", [len(x) for x in got] == [len(x) for x in b] and got != b)
finish()
