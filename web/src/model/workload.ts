// SPDX-License-Identifier: Apache-2.0
// Which workload a pod belongs to, as the hub names it, and what selects its pods. Pure.
import type { ApiObject } from "../api/wire.ts";

export interface Workload {
	/** "shop/page". */
	id: string;
	namespace: string;
	name: string;
	/** Deployment, StatefulSet, DaemonSet, Job, ReplicaSet, Pod. */
	kind: string;
	labels: Record<string, string>;
	pods: ApiObject[];
}

const OF_ONE_LIFE = [
	"pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "batch.kubernetes.io/controller-uid",
	"batch.kubernetes.io/job-name", "controller-uid", "job-name", "pod-template-generation",
];

/** What all pods of the workload have, without what one pod or one revision alone has. */
function lastingLabels(labels: Record<string, string> | undefined): Record<string, string> {
	return Object.fromEntries(Object.entries(labels ?? {}).filter(([k]) => !OF_ONE_LIFE.includes(k)));
}

function owner(o: ApiObject): { kind: string; name: string } | undefined {
	return o.metadata.ownerReferences?.find((r) => r.controller !== false);
}

/** pods: all of them; replicasets: to find the Deployments behind. By id. */
export function workloadsOf(pods: readonly ApiObject[], replicasets: readonly ApiObject[]): Map<string, Workload> {
	const behind = new Map(replicasets.map((r) => [`${r.metadata.namespace}/${r.metadata.name}`, owner(r)]));
	const out = new Map<string, Workload>();
	for (const p of pods) {
		const ns = p.metadata.namespace ?? "default";
		let o = owner(p);
		if (o?.kind === "ReplicaSet") o = behind.get(`${ns}/${o.name}`) ?? o;
		const name = o?.name ?? p.metadata.name, id = `${ns}/${name}`;
		const w = out.get(id);
		if (w) w.pods.push(p);
		else out.set(id, { id, namespace: ns, name, kind: o?.kind ?? "Pod", labels: lastingLabels(p.metadata.labels), pods: [p] });
	}
	return out;
}

/** "ns/pod" → the workload's id. */
export function podIndex(workloads: Map<string, Workload>): Map<string, string> {
	const out = new Map<string, string>();
	for (const w of workloads.values()) for (const p of w.pods) out.set(`${w.namespace}/${p.metadata.name}`, w.id);
	return out;
}
