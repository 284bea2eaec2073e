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

/** The controllers of ReplicaSets, by "namespace/name". */
export type Behind = ReadonlyMap<string, { kind: string; name: string } | undefined>;
export function behindSets(replicasets: readonly ApiObject[]): Behind {
	return new Map(replicasets.map((r) => [`${r.metadata.namespace}/${r.metadata.name}`, owner(r)]));
}

/** The workload of one pod: its controller, or that one's own; a pod without one is a workload of its own. */
export function workloadOf(pod: ApiObject, behind: Behind): { namespace: string; kind: string; name: string } {
	const namespace = pod.metadata.namespace ?? "default";
	let o = owner(pod);
	if (o?.kind === "ReplicaSet") o = behind.get(`${namespace}/${o.name}`) ?? o;
	return { namespace, kind: o?.kind ?? "Pod", name: o?.name ?? pod.metadata.name };
}

/** The name of a workload's end in the graph. */
export function endOfWorkload(w: { namespace: string; kind: string; name: string }): string {
	return `${w.namespace}/${w.kind}/${w.name}`;
}

/** pods: all of them; replicasets: to find the Deployments behind. By id. */
export function workloadsOf(pods: readonly ApiObject[], replicasets: readonly ApiObject[]): Map<string, Workload> {
	const behind = behindSets(replicasets);
	const out = new Map<string, Workload>();
	for (const p of pods) {
		const { namespace, kind, name } = workloadOf(p, behind), id = `${namespace}/${name}`;
		const w = out.get(id);
		if (w) w.pods.push(p);
		else out.set(id, { id, namespace, name, kind, labels: lastingLabels(p.metadata.labels), pods: [p] });
	}
	return out;
}

/** "ns/pod" → the workload's id. */
export function podIndex(workloads: Map<string, Workload>): Map<string, string> {
	const out = new Map<string, string>();
	for (const w of workloads.values()) for (const p of w.pods) out.set(`${w.namespace}/${p.metadata.name}`, w.id);
	return out;
}
