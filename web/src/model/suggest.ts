// SPDX-License-Identifier: Apache-2.0
// The answer of POST /page/ask/suggest, a list of NetworkPolicies, as texts that can be put into a draft. Pure.
import type { ApiObject } from "../api/wire.ts";
import { toYaml } from "./yaml.ts";

export interface Suggested {
	namespace: string;
	name: string;
	yaml: string;
	/** Labels of the pods that it is for. */
	labels: Record<string, string>;
}

export function readSuggested(answer: { items?: ApiObject<{ podSelector?: { matchLabels?: Record<string, string> } }>[] }): Suggested[] {
	return (answer.items ?? []).map((o) => ({ namespace: o.metadata.namespace ?? "default", name: o.metadata.name, yaml: toYaml(o), labels: o.spec?.podSelector?.matchLabels ?? {} }));
}
