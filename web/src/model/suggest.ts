// SPDX-License-Identifier: Apache-2.0
// The answer of POST /page/ask/suggest: NetworkPolicies as YAML documents, told apart. Pure.

export interface Suggested {
	namespace: string;
	name: string;
	yaml: string;
	/** Its comments: what it was made of. */
	about: string;
}

/** Text of several documents, or what holds such a text as "yaml", "text" or "stdout". */
export function readSuggested(answer: unknown): Suggested[] {
	const o = answer as { yaml?: unknown; text?: unknown; stdout?: unknown } | null;
	const text = typeof answer === "string" ? answer : [o?.yaml, o?.text, o?.stdout].find((x) => typeof x === "string");
	const out: Suggested[] = [];
	for (const doc of typeof text === "string" ? text.split(/^---\s*$/m) : []) {
		const meta = /^metadata:\n((?:[ \t]+.*\n?)*)/m.exec(doc)?.[1] ?? "";
		const of = (key: string): string => new RegExp(`^[ \\t]{1,4}${key}:[ \\t]*"?([^"\\n]*?)"?[ \\t]*$`, "m").exec(meta)?.[1] ?? "";
		const name = of("name");
		if (!name || !/^kind: NetworkPolicy$/m.test(doc)) continue;
		out.push({ namespace: of("namespace") || "default", name, yaml: `${doc.trim()}\n`, about: (doc.match(/^\s*#.*$/gm) ?? []).join("\n") });
	}
	return out;
}
