#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every Deployment of examples/shop is rolled ($ROUNDS times, 2) while a pod asks their Services and the outside host asks
# the node port, in both families, all the time: no request is lost (SV01, SV05, SV19, SV53).
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] && WEFT=$1 WEFT_BUILD=${1%/src/cli/weft}
test=rollout
. test/run/cluster_lib
api() { curl -s --unix-socket "$run/hub.sock" "http://hub$1"; }
manifests() { # ROUND
	sed "s/^      labels: {app: \(.*\)}/      labels: {app: \1, round: \"$1\"}/" examples/shop/shop.yaml >"$dir/.next"
	mv "$dir/.next" "$dir/shop.yaml"
}
rolled() { # ROUND: all Deployments are whole, of that round, and no old pod is left
	api /apis/apps/v1/namespaces/shop/deployments >"$dir/.deployments"
	api /api/v1/namespaces/shop/pods >"$dir/.pods"
	python3 - "$1" "$dir" <<'PY'
import json, sys
deployments = json.load(open(sys.argv[2] + "/.deployments"))["items"]
pods = json.load(open(sys.argv[2] + "/.pods"))["items"]
for d in deployments:
    s, want = d.get("status", {}), d["spec"].get("replicas", 1)
    if s.get("observedGeneration") != d["metadata"]["generation"] or s.get("updatedReplicas") != want \
       or s.get("availableReplicas") != want or s.get("replicas") != want:
        sys.exit(1)
sys.exit(not deployments or any(p["metadata"]["labels"].get("round") != sys.argv[1] for p in pods))
PY
}
rolled_within() { # SECONDS ROUND
	end=$(($(date +%s) + $1))
	until rolled "$2"; do
		[ "$(date +%s)" -gt $end ] && return 1
		sleep 0.2
	done
}
address() { # SERVICE FAMILY
	api "/api/v1/namespaces/shop/services/$1" | python3 -c '
import json, sys
ips = json.load(sys.stdin)["spec"]["clusterIPs"]
print(next(("[%s]" % i if ":" in i else i) for i in ips if (":" in i) == (sys.argv[1] == "6")))' "$2"
}
manifests 0
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the shop comes up" $? || sed 's/^/# /' "$dir/up"
rolled_within 60 0
ok "all of it is ready" $?
inside="http@$(address page 4):80 http@$(address page 6):80 http@$(address catalogue 4):8000 http@$(address catalogue 6):8000"
inside="$inside tcp@$(address cart 4):7000 tcp@$(address cart 6):7000"
outside="http@172.31.0.10:30080 http@172.31.0.11:30080 http@[fd57:e7f7:0:1::10]:30080 http@[fd57:e7f7:0:1::11]:30080"
# The analyst's cgroup is where its connections are led to endpoints.
player=$(ip netns pids "weft-$name-reports.analyst" | head -1)
group=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)$(sed -n 's/^0:://p' "/proc/$player/cgroup")
[ -n "$player" ] && [ -w "$group/cgroup.procs" ]
ok "the caller runs in the cgroup of a pod" $?
# shellcheck disable=SC2086
sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' x "$group" nsenter --net="/run/netns/weft-$name-reports.analyst" \
	python3 test/run/rollout/load.py "$dir/.stop" "$dir/.inside" $inside &
a=$!
# shellcheck disable=SC2086
nsenter --net="/run/netns/weft-$name-outside" python3 test/run/rollout/load.py "$dir/.stop" "$dir/.outside" $outside &
b=$!
round=1
while [ $round -le "${ROUNDS:-2}" ]; do
	manifests $round
	rolled_within 90 $round
	ok "round $round: every Deployment was rolled" $?
	round=$((round + 1))
done
touch "$dir/.stop"
wait $a $b
for side in inside outside; do
	grep -q " requests [1-9]" "$dir/.$side"
	ok "from $side it was asked: $(awk '/ requests /{n += $3} END {print n}' "$dir/.$side") requests" $?
	same "SV01 SV05 SV19 SV53 from $side: requests lost" "$(grep -c ^lost "$dir/.$side")" 0
	grep ^lost "$dir/.$side" | head -20 | sed 's/^/# /'
done
"$weft" down --name $name >/dev/null
ok "down" $?
finish
