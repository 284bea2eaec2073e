// SPDX-License-Identifier: Apache-2.0
// Objects as YAML, in the plain block form that people write: two blanks a level, text in quotes only where it must be. Pure.
// Prints only; YAML is read by the hub alone.

type Value = string | number | boolean | null | undefined | readonly Value[] | { readonly [key: string]: Value };

const PLAIN = /^[A-Za-z_./][A-Za-z0-9_./-]*( [A-Za-z0-9_./(),-]+)*$/;
const RESERVED = /^(y|n|yes|no|on|off|true|false|null|~|\.inf|\.nan|[-+.]?[0-9].*)$/i;

function scalar(text: string): string {
	return PLAIN.test(text) && !RESERVED.test(text) ? text : JSON.stringify(text);
}

function isEmpty(v: Value): boolean {
	return typeof v === "object" && v !== null && (Array.isArray(v) ? v.length === 0 : Object.keys(v).length === 0);
}

function print(v: Value, indent: string, out: string[], lead: string): void {
	if (v === null || v === undefined) out.push(`${lead}null`);
	else if (typeof v === "number" || typeof v === "boolean") out.push(`${lead}${v}`);
	else if (typeof v === "string") {
		if (v.includes("\n") && !/[^\n\x20-\x7e\xa0-\uffff]/.test(v) && !v.startsWith(" ") && !v.startsWith("\n")) {
			const body = v.replace(/\n+$/, "");
			const tail = v.length - body.length;
			out.push(`${lead}|${tail === 0 ? "-" : tail > 1 ? "+" : ""}`);
			for (const line of body.split("\n")) out.push(line ? indent + line : "");
			for (let i = 1; i < tail; i++) out.push("");
		} else out.push(lead + scalar(v));
	} else if (isEmpty(v)) out.push(lead + (Array.isArray(v) ? "[]" : "{}"));
	else if (Array.isArray(v)) {
		out.push(lead.trimEnd());
		for (const x of v as readonly Value[]) item(x, indent, out);
	} else {
		out.push(lead.trimEnd());
		members(v as { readonly [key: string]: Value }, indent, out);
	}
}

function item(x: Value, indent: string, out: string[]): void {
	if (typeof x === "object" && x !== null && !Array.isArray(x) && !isEmpty(x)) {
		const at = out.length;
		members(x as { readonly [key: string]: Value }, `${indent}  `, out);
		const first = out[at];
		if (first !== undefined) out[at] = `${indent}- ${first.slice(indent.length + 2)}`;
	} else if (Array.isArray(x) && !isEmpty(x)) {
		const at = out.length;
		for (const y of x as readonly Value[]) item(y, `${indent}  `, out);
		const first = out[at];
		if (first !== undefined) out[at] = `${indent}- ${first.slice(indent.length + 2)}`;
	} else print(x, `${indent}  `, out, `${indent}- `);
}

function members(o: { readonly [key: string]: Value }, indent: string, out: string[]): void {
	for (const [k, v] of Object.entries(o)) {
		if (v === undefined) continue;
		// a list stands as deep as its key, as kubectl prints it
		print(v, Array.isArray(v) ? indent : `${indent}  `, out, `${indent}${scalar(k)}: `);
	}
}

export function toYaml(v: unknown): string {
	const out: string[] = [];
	if (typeof v === "object" && v !== null && !Array.isArray(v) && !isEmpty(v as Value)) members(v as { [key: string]: Value }, "", out);
	else if (Array.isArray(v) && v.length) for (const x of v as Value[]) item(x, "", out);
	else print(v as Value, "", out, "");
	return `${out.join("\n")}\n`;
}

const MADE_BY_SERVER = ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"];

/** An object as a person would write it: without what the server fills in and says. */
export function manifest(o: { metadata: object }, status = false): string {
	const meta = Object.fromEntries(
		Object.entries(o.metadata as Record<string, unknown>).filter(([k, v]) => !MADE_BY_SERVER.includes(k) && !(k === "annotations" && isEmpty(v as Value))),
	);
	if (meta["annotations"]) {
		const a = { ...(meta["annotations"] as Record<string, string>) };
		delete a["kubectl.kubernetes.io/last-applied-configuration"];
		if (Object.keys(a).length) meta["annotations"] = a;
		else delete meta["annotations"];
	}
	const rest = Object.fromEntries(Object.entries(o as Record<string, unknown>).filter(([k]) => !["apiVersion", "kind", "metadata", "status"].includes(k)));
	const head = o as { apiVersion?: string; kind?: string; status?: unknown };
	return toYaml({ apiVersion: head.apiVersion, kind: head.kind, metadata: meta, ...rest, ...(status && head.status ? { status: head.status } : {}) });
}
