# SPDX-License-Identifier: Apache-2.0
"""
Holds what `weft flows -o json` says (standard input) against accounts of talk.py: compare.py ACCOUNT… ; each tuple of them must
have the same bytes and packets each way, and there must be as many records as connections. Differences go to stdout.
"""
import json, sys

NUMBERS = {"TCP": 6, "UDP": 17}
want, flows = {}, 0
for path in sys.argv[1:]:
    account = json.load(open(path))
    flows += account["flows"]
    for key, sums in account["tuples"].items():
        want[key] = [x + y for x, y in zip(want.get(key, [0] * 4), sums)]
got, records, ids = {}, 0, {}
for line in sys.stdin:
    r = json.loads(line)
    if r["record"] != "flow" or r["protocol"] not in NUMBERS:
        continue
    key = "%d %s %d %s %d" % (NUMBERS[r["protocol"]], r["from"]["address"], r["from"].get("port", 0),
                              r["to"]["address"], r["to"].get("port", 0))
    if key not in want:
        continue
    if r["id"] in ids:
        print("told twice:", line.strip(), ids[r["id"]])
        sys.exit(1)
    ids[r["id"]] = line.strip()
    records += 1
    mine = [r["bytes"]["there"], r["packets"]["there"], r["bytes"]["back"], r["packets"]["back"]]
    got[key] = [x + y for x, y in zip(got.get(key, [0] * 4), mine)]
wrong = [k for k in want if got.get(k) != want[k]]
for key in wrong[:5]:
    print(key, "weft says", got.get(key), "on the wire were", want[key])
if records != flows:
    print(records, "records of", flows, "connections")
total = [sum(x) for x in zip(*want.values())]
print("%d connections, %d tuples, bytes %d and %d, packets %d and %d" % (flows, len(want), total[0], total[2], total[1], total[3]))
sys.exit(bool(wrong) or records != flows or not flows)
