// SPDX-License-Identifier: Apache-2.0
// Policies that a click writes: one that allows just one call, one that refuses just one. Pure: objects in, objects out.
import type { Workload } from "./workload.ts";

export interface Call {
	from: Workload;
	to: Workload;
	protocol: string;
	port: number;
}

function policyName(...parts: (string | number)[]): string {
	return parts.join("-").toLowerCase().replace(/[^a-z0-9.-]+/g, "-").replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "").slice(0, 63).replace(/[^a-z0-9]+$/, "");
}

/** From the other namespace its pods by name of the namespace, from the same one by their labels alone. */
function peer(w: Workload, seenFrom: string): object {
	return {
		...(w.namespace === seenFrom ? {} : { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": w.namespace } } }),
		podSelector: { matchLabels: w.labels },
	};
}

/** NetworkPolicies that let this call through where ingress or egress refuses it; nothing else is allowed by them. */
export function allowCall(c: Call, refusedBy: { ingress: boolean; egress: boolean }, staged: boolean): object[] {
	const ports = [{ protocol: c.protocol.toUpperCase(), port: c.port }];
	const annotations = staged ? { annotations: { "weft.network/staged": "true" } } : {};
	const head = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" };
	const out: object[] = [];
	if (refusedBy.ingress)
		out.push({
			...head,
			metadata: { name: policyName(c.to.name, "from", c.from.name, c.port), namespace: c.to.namespace, ...annotations },
			spec: { podSelector: { matchLabels: c.to.labels }, policyTypes: ["Ingress"], ingress: [{ from: [peer(c.from, c.to.namespace)], ports }] },
		});
	if (refusedBy.egress)
		out.push({
			...head,
			metadata: { name: policyName(c.from.name, "to", c.to.name, c.port), namespace: c.from.namespace, ...annotations },
			spec: { podSelector: { matchLabels: c.from.labels }, policyTypes: ["Egress"], egress: [{ to: [peer(c.to, c.from.namespace)], ports }] },
		});
	return out;
}

/** A NetworkPolicy only allows: what refuses one call is a rule of the administrators' tier, before all of them. */
export function refuseCall(c: Call, staged: boolean): object {
	const protocol = c.protocol.toLowerCase();
	const subject = (w: Workload): object => ({
		pods: { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": w.namespace } }, podSelector: { matchLabels: w.labels } },
	});
	return {
		apiVersion: "policy.networking.k8s.io/v1alpha2",
		kind: "ClusterNetworkPolicy",
		metadata: { name: policyName("refuse", c.from.name, c.to.name, c.port), ...(staged ? { annotations: { "weft.network/staged": "true" } } : {}) },
		spec: {
			tier: "Admin",
			priority: 100,
			subject: subject(c.to),
			ingress: [{ name: policyName("from", c.from.name).slice(0, 100), action: "Deny", from: [subject(c.from)], protocols: [{ [protocol]: { destinationPort: { number: c.port } } }] }],
		},
	};
}
