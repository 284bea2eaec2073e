#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The real kubectl rolls, scales and undoes workloads, drains nodes and gives addresses to Services, against a hub
# whose pods count as running at once; a node that gives no word any more is lost and comes back.
cd "$(dirname "$0")/../.." || exit 1
command -v kubectl >/dev/null || {
	echo "1..0 # SKIP there is no kubectl on this machine"
	exit 0
}
. test/run/hub_lib
export KUBECACHEDIR="$dir/cache" HOME="$dir" KUBECONFIG="$run/kubeconfig"
start --nodes 2 --node-lost 2 --node-evict 2
wait_for grep -q server "$KUBECONFIG"
node 0 >/dev/null
node 1 >/dev/null
k() { kubectl "$@" 2>&1; }
workload() { # KIND NAME REPLICAS
	cat <<YAML
apiVersion: apps/v1
kind: $1
metadata: {name: $2}
spec:
  replicas: $3
  selector: {matchLabels: {app: $2}}
  template:
    metadata: {labels: {app: $2}}
    spec: {containers: [{name: c, image: "$2:1", ports: [{containerPort: 80}]}]}
YAML
}
workload Deployment web 3 >"$dir/web.yaml"
workload StatefulSet db 2 >"$dir/db.yaml"
workload DaemonSet log 1 | sed '/replicas/d' >"$dir/log.yaml"
for f in web db log; do has "apply $f" "$(k apply -f "$dir/$f.yaml")" created; done

# rollouts: kubectl's own reading of what the status says
for w in deployment/web statefulset/db daemonset/log; do
	k rollout status $w --timeout=10s >"$dir/out"
	same "rollout status $w" $? 0
done
has "set image: a strategic patch" "$(k set image deployment/web c=web:2)" "image updated"
has "rollout status" "$(k rollout status deployment/web --timeout=10s)" "successfully rolled out"
same "all pods are of the new template" "$(k get pods -l app=web -o jsonpath='{.items[*].spec.containers[0].image}')" "web:2 web:2 web:2"
has "the old ReplicaSet is kept, without pods" "$(k get rs -l app=web -o jsonpath='{.items[*].spec.replicas}')" 0
has "rollout history" "$(k rollout history deployment/web)" "2 "
has "rollout undo: a JSON patch" "$(k rollout undo deployment/web)" "rolled back"
k rollout status deployment/web --timeout=10s >/dev/null
same "the former template is back" "$(k get pods -l app=web -o jsonpath='{.items[*].spec.containers[0].image}')" "web:1 web:1 web:1"
same "its set has the newest revision" "$(k get deployment web -o jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}')" 3
for w in deployment/web statefulset/db daemonset/log; do
	has "rollout restart $w" "$(k rollout restart $w)" restarted
	k rollout status $w --timeout=10s >/dev/null
	same "and it ends: $w" $? 0
done
k rollout pause deployment/web >/dev/null
k set image deployment/web c=web:3 >/dev/null
hasnt "paused: nothing is rolled out" "$(k get pods -l app=web -o jsonpath='{.items[*].spec.containers[0].image}')" web:3
k rollout resume deployment/web >/dev/null
k rollout status deployment/web --timeout=10s >/dev/null
same "resumed" "$(k get pods -l app=web -o jsonpath='{.items[*].spec.containers[0].image}')" "web:3 web:3 web:3"
has "apply of a change" "$(sed 's/web:1/web:4/' "$dir/web.yaml" | k apply -f -)" configured
has "a bad strategy is refused with its path" "$(k patch deployment web --type=merge -p '{"spec":{"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":0}}}}')" "may not be 0 when maxSurge is 0"

# scale
has "scale" "$(k scale deployment/web --replicas=5)" scaled
k rollout status deployment/web --timeout=10s >/dev/null
same "five" "$(k get pods -l app=web -o name | wc -l)" 5
has "scale, if it is as expected" "$(k scale deployment/web --current-replicas=4 --replicas=2)" "Expected replicas to be 4, was 5"
has "scale of a StatefulSet" "$(k scale statefulset/db --replicas=1)" scaled
same "the highest number goes" "$(k get pods -l app=db -o name)" pod/db-0
same "GET scale" "$(api GET /apis/apps/v1/namespaces/default/deployments/web/scale | field 'o["kind"], o["spec"]["replicas"], o["status"]["selector"]')" "('Scale', 5, 'app=web')"

# cordon and drain
has "cordon" "$(k cordon node-1)" cordoned
has "it shows" "$(k get node node-1)" SchedulingDisabled
k scale deployment/web --replicas=8 >/dev/null
on1() { k get pods -l app=web --field-selector spec.nodeName=node-1 -o name | wc -l; }
before=$(on1)
k rollout status deployment/web --timeout=10s >/dev/null
[ "$(on1)" -le "$before" ]
ok "nothing new on a cordoned node" $?
out=$(k drain node-1 --ignore-daemonsets --timeout=20s)
has "drain evicts" "$out" "drained"
same "no pod of the Deployment is left there" "$(on1)" 0
same "the DaemonSet's stays" "$(k get pods -l app=log --field-selector spec.nodeName=node-1 -o name | wc -l)" 1
same "all run elsewhere" "$(k get deployment web -o jsonpath='{.status.readyReplicas}')" 8
has "uncordon" "$(k uncordon node-1)" uncordoned

# AddressPools (SV25, SV38 on the way)
cat >"$dir/pool.yaml" <<'YAML'
apiVersion: weft.network/v1alpha1
kind: AddressPool
metadata: {name: front}
spec: {addresses: [198.51.100.8/31, "2001:db8:7::10-2001:db8:7::11"]}
---
apiVersion: weft.network/v1alpha1
kind: AddressPool
metadata: {name: kept}
spec: {addresses: [203.0.113.5], autoAssign: false}
YAML
balancer() { # NAME [MORE]
	printf 'apiVersion: v1\nkind: Service\nmetadata: {name: %s%s}\nspec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]%s}\n' "$1" "${3:-}" "${2:-}"
}
ingress() { k get svc "$1" -o jsonpath='{.status.loadBalancer.ingress[*].ip}'; }
balancer one | k create -f - >/dev/null
has "without a pool it is pending, with why" "$(k get svc one -o jsonpath='{.status.conditions[0].message}') $(k get svc one)" "there is no AddressPool"
has "pending" "$(k get svc one)" "<pending>"
has "pools" "$(k create -f "$dir/pool.yaml")" "addresspool.weft.network/kept created"
has "it gets an address of each family" "$(ingress one)" "198.51.100."
has "and of IPv6" "$(ingress one)" "2001:db8:7::1"
has "of mode VIP" "$(k get svc one -o jsonpath='{.status.loadBalancer.ingress[0].ipMode}')" VIP
balancer two | k create -f - >/dev/null
balancer three | k create -f - >/dev/null
has "the pool is exhausted, and the Service says so" "$(k get svc three -o jsonpath='{.status.conditions[0].message}')" "no AddressPool has a free IPv4 address"
has "weft says so as a remark" "$(api GET /apis/weft.network/internal/remarks)" "default/three gets no address"
has "the table counts" "$(k get pools)" "198.51.100.8/31,2001:db8:7::10-2001:db8:7::11"
same "assigned" "$(k get addresspool front -o jsonpath='{.status.assigned}')" 4
balancer four '' ', annotations: {weft.network/address-pool: kept}' | k create -f - >/dev/null
same "a pool by annotation" "$(ingress four)" 203.0.113.5
balancer five ', loadBalancerIP: 203.0.113.5' | k create -f - >/dev/null
has "an address that is taken" "$(k get svc five -o jsonpath='{.status.conditions[0].message}')" "203.0.113.5 is already that of Service default/four"
balancer six ', loadBalancerClass: example.com/other' | k create -f - >/dev/null
same "another class is not ours" "$(ingress six)" ""
k delete svc two >/dev/null
wait_for sh -c "kubectl get svc three -o jsonpath='{.status.loadBalancer.ingress[*].ip}' | grep -q 2001"
has "what one gives back another gets" "$(ingress three)" 198.51.100.
mine=$(ingress one)
has "pools that overlap are refused with both places" "$(printf 'apiVersion: weft.network/v1alpha1\nkind: AddressPool\nmetadata: {name: clash}\nspec: {addresses: [198.51.100.0/24]}\n' | k create -f -)" "198.51.100.0/24 of AddressPool clash overlaps 198.51.100.8/31 of AddressPool front"
port=$(k get svc one -o jsonpath='{.spec.ports[0].nodePort}')
k patch svc one -p '{"spec":{"externalTrafficPolicy":"Local"}}' >/dev/null
health=$(k get svc one -o jsonpath='{.spec.healthCheckNodePort}')
[ "${health:-0}" -ge 30000 ]
ok "Local gives a healthCheckNodePort" $?
has "SV25: to ClusterIP" "$(k patch svc one -p '{"spec":{"type":"ClusterIP"}}')" patched
same "SV25: no address, node port or health port is left" "$(ingress one)$(k get svc one -o jsonpath='{.spec.ports[0].nodePort}{.spec.healthCheckNodePort}')" ""
printf 'apiVersion: v1\nkind: Service\nmetadata: {name: heir}\nspec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: %s}, {name: h, port: 81, nodePort: %s}]}\n' "$port" "$health" | sed 's/{port: 80,/{name: a, port: 80,/' >"$dir/heir.yaml"
has "SV38: both numbers are free for others" "$(k create -f "$dir/heir.yaml")" created
other=$((port == 32000 ? 32001 : 32000))
k patch svc heir --type=json -p '[{"op":"replace","path":"/spec/ports/0/nodePort","value":'$other'}]' >/dev/null
has "SV38: a changed number frees the old one" "$(k patch svc one -p '{"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":'"$port"'}]}}')" patched
has "SV25: to ExternalName and back" "$(k patch svc one -p '{"spec":{"type":"ExternalName","externalName":"example.org"}}') $(k patch svc one -p '{"spec":{"type":"ClusterIP"}}')" "patched"
has "SV25: an address again" "$(k get svc one -o jsonpath='{.spec.clusterIP}')" 10.96.

# a node that gives no word any more
beat() { api PUT /apis/weft.network/internal/heartbeat '{"node":"node-2"}' >/dev/null; }
state() { k get node node-2 -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}'; }
is() { [ "$(state)" = "$1" ]; }
beat
same "it gave a word" "$(state)" True
wait_for is Unknown
same "then none: lost after --node-lost" "$(state)" Unknown
same "node-1, which never gave one, is not judged" "$(k get node node-1 -o jsonpath='{.status.conditions[0].status}')" True
gone() { [ "$(k get pods -l app=web --field-selector spec.nodeName=node-2 -o name | wc -l)" = 0 ]; }
wait_for gone
ok "after --node-evict its pods are made elsewhere" $?
same "none is missing" "$(k get pods -l app=web --field-selector spec.nodeName=node-1 -o name | wc -l)" 8
beat
same "the next word brings it back" "$(state)" True

# after a kill everything is as it was
three=$(ingress three)
stop KILL
start --nodes 2
wait_for grep -q server "$KUBECONFIG"
same "addresses outlive the hub" "$(ingress three)" "$three"
has "and are not given twice" "$(balancer seven | k create -f - >/dev/null; ingress seven)" 198.51.100.
[ "$(ingress seven)" != "$three" ]
ok "another one" $?
: "$mine"
stop TERM
finish
