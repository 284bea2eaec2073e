// SPDX-License-Identifier: Apache-2.0
// Whether a label selector takes a set of labels, as Kubernetes says. Pure.

export interface Selector {
	matchLabels?: Record<string, string>;
	matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export function selects(s: Selector | undefined, labels: Record<string, string> = {}): boolean {
	for (const [k, v] of Object.entries(s?.matchLabels ?? {})) if (labels[k] !== v) return false;
	for (const e of s?.matchExpressions ?? []) {
		const has = Object.hasOwn(labels, e.key), value = labels[e.key] ?? "";
		if (e.operator === "Exists" && !has) return false;
		if (e.operator === "DoesNotExist" && has) return false;
		if (e.operator === "In" && !(has && e.values?.includes(value))) return false;
		if (e.operator === "NotIn" && has && e.values?.includes(value)) return false;
	}
	return true;
}
