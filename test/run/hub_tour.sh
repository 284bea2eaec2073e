#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A tour of kubectl through the API of a hub: each command ends well, says nothing on stderr, and its answer has the
# shape that an API server's has.
cd "$(dirname "$0")/../.." || exit 1
command -v kubectl >/dev/null || {
	echo "1..0 # SKIP there is no kubectl on this machine"
	exit 0
}
. test/run/hub_lib
export KUBECACHEDIR="$dir/cache" HOME="$dir" KUBECONFIG="$run/kubeconfig" KUBE_EDITOR="sed -i s/one/two/"
start --sandbox --nodes 2
wait_for grep -q server "$KUBECONFIG"
node 0 >/dev/null
node 1 >/dev/null
stops=0
# tour SHAPE ARGS…: a regular expression that a line of the answer must match
tour() {
	shape=$1
	shift
	stops=$((stops + 1))
	timeout 20 kubectl "$@" >"$dir/out" 2>"$dir/err" </dev/null
	ended=$?
	bad=
	[ $ended = 0 ] || bad="status $ended; "
	[ -s "$dir/err" ] && bad="${bad}stderr; "
	grep -Eq -- "$shape" "$dir/out" || bad="${bad}answer"
	[ -z "$bad" ]
	r=$?
	ok "kubectl $*" $r
	[ $r = 0 ] || {
		echo "# wrong: $bad; expected: $shape"
		sed 's/^/# /' "$dir/out" "$dir/err"
	}
}
# Plays the node: what was placed runs.
run_pods() {
	for p in $(api GET /api/v1/namespaces/lab/pods | field '" ".join(p["metadata"]["name"] for p in o["items"] if p["spec"].get("nodeName") and "deletionTimestamp" not in p["metadata"])'); do
		api PATCH "/api/v1/namespaces/lab/pods/$p/status" '{"status":{"phase":"Running","containerStatuses":[{"name":"c","image":"i","imageID":"",
			"restartCount":0,"ready":true,"started":true,"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}' application/merge-patch+json >/dev/null
	done
	for p in $(api GET /api/v1/namespaces/lab/pods | field '" ".join(p["metadata"]["name"] for p in o["items"] if "deletionTimestamp" in p["metadata"])'); do
		api DELETE "/api/v1/namespaces/lab/pods/$p?gracePeriodSeconds=0" >/dev/null
	done
	[ "$(api GET /apis/apps/v1/namespaces/lab/deployments/web | field 'o["status"].get("availableReplicas"), o["status"].get("updatedReplicas"), o["status"].get("replicas"), o["status"]["observedGeneration"] == o["metadata"]["generation"]')" = "($1, $1, $1, True)" ]
}
cat >"$dir/web.yaml" <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: lab, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1", ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: lab}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: lab}
spec: {podSelector: {}, policyTypes: [Ingress]}
YAML
sed 's/web:1/web:2/' "$dir/web.yaml" >"$dir/web2.yaml"
age='[0-9]+[smh]'

tour '^Server Version: v1\.3[0-9]' version
tour '^(.\[[0-9;]*m)?Kubernetes control plane' cluster-info
tour '^deployments +deploy +apps/v1 +true +Deployment' api-resources
tour '^networking.k8s.io/v1$' api-versions
tour '^yes$' auth can-i create deployments -n lab
tour '^Username +weft:admin' auth whoami
tour '^  spec	<NetworkPolicySpec>$' explain networkpolicy --recursive
tour '^  readinessProbe	<Probe>$' explain pod.spec.containers
tour '^namespace/lab created$' create namespace lab
tour '^deployment.apps/web serverside-applied \(server dry run\)$' apply --server-side --dry-run=server -f "$dir/web.yaml"
tour '^networkpolicy.networking.k8s.io/closed created$' apply -f "$dir/web.yaml"
tour '^service/web unchanged$' apply -f "$dir/web.yaml"
wait_for run_pods 2
tour '^deployment "web" successfully rolled out$' rollout status deployment/web -n lab --timeout=10s
tour "^web +2/2 +2 +2 +$age +c +web:1 +app=web\$" get deployments -n lab -o wide
tour "^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\$" get pods -n lab -o wide
tour "^web-[a-z0-9]+-[a-z0-9]+ +1/1 +Running +0 +$age +app=web,pod-template-hash=" get pods -n lab -l app=web --show-labels
tour "^web +ClusterIP +10\.96\.[0-9.]+ +<none> +80/TCP +$age\$" get service web -n lab
tour "^closed +<none> +$age\$" get netpol -n lab
tour '^    manager: kubectl-client-side-apply$' get deployment web -n lab -o yaml --show-managed-fields
tour '^deployment.apps/web condition met$' wait --for=condition=Available deployment/web -n lab --timeout=5s
tour '^deployment.apps/web condition met$' wait --for=jsonpath='{.status.readyReplicas}'=2 deployment/web -n lab --timeout=5s
tour '^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable$' describe deployment web -n lab
tour '^TargetPort: +http/TCP$' describe service web -n lab
timeout 20 kubectl diff -f "$dir/web2.yaml" >"$dir/out" 2>"$dir/err"
same "kubectl diff tells of a difference by its status" "$? $(grep -c '^+.*image: web:2' "$dir/out") $(wc -c <"$dir/err")" "1 1 0"
stops=$((stops + 1))
tour '^deployment.apps/web configured$' apply -f "$dir/web2.yaml"
wait_for run_pods 2
tour '^2 +<none>$' rollout history deployment/web -n lab
tour '^deployment.apps/web rolled back$' rollout undo deployment/web -n lab
wait_for run_pods 2
tour '^web:1$' get deployment web -n lab -o 'jsonpath={.spec.template.spec.containers[0].image}'
tour '^deployment.apps/web restarted$' rollout restart deployment/web -n lab
tour '^deployment.apps/web paused$' rollout pause deployment/web -n lab
tour '^deployment.apps/web resumed$' rollout resume deployment/web -n lab
tour '^deployment.apps/web image updated$' set image deployment/web c=web:3 -n lab
tour '^deployment.apps/web env updated$' set env deployment/web A=b -n lab
tour '^deployment.apps/web resource requirements updated$' set resources deployment/web --limits=cpu=1 -n lab
tour '^deployment.apps/web scaled$' scale deployment/web --replicas=3 -n lab
wait_for run_pods 3
tour '^deployment.apps/web labeled$' label deployment web tier=front -n lab
tour '^deployment.apps/web annotated$' annotate deployment web note=hello -n lab
tour '^service/front exposed$' expose deployment web --port=81 --name=front -n lab
tour '^configmap/words created$' create configmap words --from-literal=a=one -n lab
tour '^configmap/words edited$' edit configmap words -n lab
tour '^two$' get configmap words -n lab -o 'jsonpath={.data.a}'
tour '^configmap/words patched$' patch configmap words -n lab --type=json -p '[{"op":"add","path":"/data/b","value":"c"}]'
kubectl get configmap words -n lab -o yaml >"$dir/words.yaml"
tour '^configmap/words replaced$' replace -f "$dir/words.yaml"
tour '^configmap/words replaced$' replace --force -f "$dir/words.yaml"
tour '^pod/single created$' run single --image=i -n lab
tour '^  Normal +Scheduled +[^ ]+ +default-scheduler +Successfully assigned lab/single to node-[12]$' describe pod single -n lab
tour '^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE$' get events -n lab
tour '^ *[^ ]+ +Normal +ScalingReplicaSet +Deployment/web +Scaled replica set web-[a-z0-9]+ to [0-9]+$' events -n lab
tour '^pod "single" deleted$' delete pod single -n lab --now --wait=false
tour '^node/node-1 cordoned$' cordon node-1
tour "^node-1 +Ready,SchedulingDisabled +<none> +$age" get nodes
tour '^node/node-1 uncordoned$' uncordon node-1
tour '^node/node-2 tainted$' taint nodes node-2 key=value:NoSchedule
tour '^Taints: +key=value:NoSchedule$' describe node node-2
tour '^node/node-2 untainted$' taint nodes node-2 key-
tour '"gitVersion":"v1' get --raw /version
tour '^networkpolicy.networking.k8s.io "closed" deleted$' delete netpol closed -n lab
tour '^service "front" deleted$' delete service front -n lab
tour '^namespace "lab" deleted$' delete namespace lab --wait=false
[ $stops -ge 40 ]
ok "forty commands and more" $?

# refused without a riddle
refused() { # PART ARGS…
	part=$1
	shift
	timeout 20 kubectl "$@" >"$dir/out" 2>&1 </dev/null
	[ $? = 1 ]
	ok "kubectl $* is refused" $?
	has "and says why" "$(cat "$dir/out")" "$part"
}
refused "Metrics API not available" top nodes
refused "deployments.apps \"web\" not found" autoscale deployment web --max=3 -n default
sed 's/replicas: 2/replica: 2/;s/namespace: lab/namespace: default/;/^---/,$d' "$dir/web.yaml" >"$dir/typo.yaml"
refused 'unknown field "spec.replica" (did you mean "replicas"?)' apply -f "$dir/typo.yaml"
stop TERM
finish
