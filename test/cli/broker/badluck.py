# SPDX-License-Identifier: Apache-2.0
"""Captures that are torn or foreign, files that cannot be written, maps that cannot be: what was readable is processed,
and the error says where (BR83, BR76, BR17)."""
import os
import sys

sys.path.insert(0, sys.path[0])
from lab import *

tmp = sys.argv[1]
frames = [eth(ip4(6, tcp(rest=bytes([i % 256]) * 900))) for i in range(400)]
write(tmp + "/in.pcap", frames)
objects = [tool("a"), tool("b"), tap("m", ["e"], [{"tool": "a"}]), tap("n", ["e"], [{"tool": "b"}], filter="false")]


def broker(*args, stdin=None):
    r = subprocess.run([WEFT, "broker"] + list(args), capture_output=True, text=True, timeout=60, stdin=stdin)
    return r.returncode, r.stdout, r.stderr


whole = open(tmp + "/in.pcap", "rb").read()
one = 16 + len(frames[0])
open(tmp + "/torn.pcap", "wb").write(whole[:24 + 10 * one + 100])
r = Run(tmp + "/torn", objects, [f"e={tmp}/torn.pcap"])
ok(r.status == 1 and r.numbers("a.default") == list(range(10)) and f"torn.pcap: byte {24 + 10 * one + 100}: truncated" in r.said and r.sums(),
   "a torn capture: what stands before is delivered, the error says file and byte, status 1")
open(tmp + "/bad.pcap", "wb").write(whole[:24 + 3 * one] + b"\xff" * 16 + whole[24 + 3 * one:])
r = Run(tmp + "/torn", objects, [f"e={tmp}/bad.pcap"])
ok(r.status == 1 and r.numbers("a.default") == [0, 1, 2] and f"byte {24 + 3 * one + 16}" in r.said and r.accounts["sources"][0]["error"]["byte"] > 0,
   "a record that cannot be: the same")
r = Run(tmp + "/torn", objects, ["e=" + os.path.abspath(__file__)])
ok(r.status == 1 and "tcpdump -w" in r.said and r.accounts["sources"][0]["seen"] == 0, "a foreign file: refused in words")
write(tmp + "/two.pcap", frames[:5])
r = Run(tmp + "/torn", [objects[0], tap("m", ["e", "f"], [{"tool": "a"}])], [f"e={tmp}/torn.pcap", f"f={tmp}/two.pcap"])
ok(r.status == 1 and len(r.numbers("a.default")) == 15, "one torn capture among two: the other is read to its end")

r = Run(tmp + "/limit", objects, [f"e={tmp}/in.pcap"], before=["prlimit", "--fsize=100000"])
account = r.account("tools", "a.default")
got = r.numbers("a.default")
ok(r.status == 1 and account["lost"].get("disk", 0) + account["sent"] == 400 and account["sumsMatch"] and got == list(range(len(got))) and
   len(got) == account["sent"] > 50, "BR83, BR17: a file that may not grow: valid to its last whole packet, the others counted as disk")
room = tmp + "/room"
os.mkdir(room)
r = subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=256k none {room} && {WEFT} broker {tmp}/limit/maps.yaml --pcap e={tmp}/in.pcap "
                    f"--out {room} -o json; echo status $?; cp {room}/a.default.pcapng {tmp}/full.pcapng; cp {room}/b.default.pcapng {tmp}/other.pcapng"],
                   capture_output=True, text=True)
if os.geteuid() or "status" not in r.stdout:
    skip("BR83: a full disk", "no right to mount one")
else:
    answer = json.loads(r.stdout[:r.stdout.rindex("}") + 1])
    a = [t for t in answer["tools"] if t["tool"] == "a"][0]
    kept = numbers(tmp + "/full.pcapng", None)
    ok("status 1" in r.stdout and a["lost"]["disk"] + a["sent"] == 400 and a["lost"]["disk"] > 0 and kept == set(range(a["sent"])) and "No space left" in r.stderr,
       "BR83: a full disk stops that file, keeps it valid and is counted as disk")

status, out, err = broker(tmp + "/limit/maps.yaml", "--pcap", f"e={tmp}/in.pcap")
ok(status == 2 and "need a folder" in err, "captures without --out: said in words")
status, out, err = broker(tmp + "/limit/maps.yaml", "--pcap", f"eth9={tmp}/in.pcap", "--out", tmp + "/x")
ok(status == 1 and 'no map has an interface "eth9"' in err and "the maps name e" in err, "a capture for an interface that no map names")
os.link(tmp + "/in.pcap", tmp + "/limit/kept.pcap")
os.replace(tmp + "/limit/kept.pcap", tmp + "/limit/a.default.pcapng")
status, out, err = broker(tmp + "/limit/maps.yaml", "--pcap", f"e={tmp}/in.pcap", "--out", tmp + "/limit")
ok(status == 1 and "is one of the captures" in err and open(tmp + "/in.pcap", "rb").read() == whole, "an input is never written over")
with open(tmp + "/in.pcap", "rb") as f:
    status, out, err = broker(tmp + "/limit/maps.yaml", "--pcap", "-", "--out", tmp + "/stdin", stdin=f)
ok(status == 0 and "all sums match" in out, "a capture from the standard input")


def refused(name, said, *objects_of):
    with open(tmp + "/refused.yaml", "w") as f:
        f.write("---\n".join(json.dumps(o) + "\n" for o in objects_of))
    code, _, words = broker(tmp + "/refused.yaml", "--pcap", tmp + "/in.pcap", "--out", tmp + "/refused")
    good = code == 1 and all(w in words for w in said) and "refused.yaml:" in words
    if not good:
        print("#", words.replace("\n", "\n# "))
    ok(good, name)


refused("BR76: a filter that needs a pod's name", ["pod cannot be judged", 'src.pod == "web"'], tool("a"), tap("m", ["e"], [{"tool": "a"}], filter='src.pod == "web"'))
refused("a direction that a capture does not tell", ["direction cannot be judged"], tool("a"), tap("m", ["e"], [{"tool": "a"}], direction="In"))
refused("a tool that is not there", ['there is no Tool "ids-l"', "did you mean ids-1?"], tool("ids-1"), tap("m", ["e"], [{"tool": "ids-l"}]))
refused("a port that the tool has not", ['has no port "x"', "its ports are default"], tool("a"), tap("m", ["e"], [{"tool": "a", "port": "x"}]))
refused("exceptions in a circle", ["circle: m → n → m"], tool("a"), tap("m", ["e"], [{"tool": "a"}], **{"except": ["n"]}),
        tap("n", ["e"], [{"tool": "a"}], **{"except": ["m"]}))
refused("an exception of the rest", ["takes the rest"], tool("a"), tap("m", ["e"], [{"tool": "a"}], **{"except": ["r"]}), tap("r", ["e"], [{"tool": "a"}], rest=True))
done()
