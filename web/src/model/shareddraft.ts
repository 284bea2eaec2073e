// SPDX-License-Identifier: Apache-2.0
// Drafts that are kept by the hub, as objects of kind Draft: who may see what they change opens them, and who saves what somebody
// else saved meanwhile is told so, and overwrites nothing. The hub decides all of that; here are the questions.
import { ApiError, pathOf, request } from "../api/http.ts";
import type { DraftSpec, DraftStatus } from "../api/kinds.gen.ts";
import type { ApiObject, Edit } from "../api/wire.ts";

export type DraftObject = ApiObject<DraftSpec, DraftStatus>;

/** Which saved draft, in which version. */
export interface Shared {
	name: string;
	title: string;
	version: string;
	uid: string;
}

const NAME_MOST = 60;

/** The name of the object for what a person calls it: "Allow the auditor" is allow-the-auditor. "" where nothing is left of it. */
export function nameFor(title: string): string {
	const plain = title.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
	return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-+/, "").slice(0, NAME_MOST).replace(/-+$/, "");
}

export function sharedOf(o: DraftObject): Shared {
	return { name: o.metadata.name, title: o.spec?.title ?? "", version: o.metadata.resourceVersion ?? "", uid: o.metadata.uid ?? "" };
}

/** The edits as the page has them. */
export function editsOf(o: DraftObject): Edit[] {
	return (o.spec?.edits ?? []).map((e) => ({
		verb: e.verb === "delete" ? "delete" : "put", kind: e.kind, name: e.name ?? "",
		...(e.namespace ? { namespace: e.namespace } : {}),
		...(e.yaml ? { yaml: e.yaml } : {}),
		...(e.resourceVersion ? { resourceVersion: e.resourceVersion } : {}),
		...(e.file ? { file: e.file } : {}),
	}));
}

/** The object for these edits. `namespaced` says of a kind whether it is in a namespace: the hub shows an edit that does not say
    in which to those alone who may see all of them. */
export function draftObject(name: string, title: string, edits: readonly Edit[], namespaced: (kind: string) => boolean, seen?: Shared): DraftObject {
	return {
		apiVersion: "weft.network/v1alpha1", kind: "Draft",
		metadata: { name, ...(seen ? { resourceVersion: seen.version, uid: seen.uid } : {}) },
		spec: { title, edits: edits.map((e) => (namespaced(e.kind) && !e.namespace ? { ...e, namespace: "default" } : { ...e })) },
	};
}

/** What two drafts say otherwise of each object, as text for a comparison. */
export function draftText(edits: readonly Edit[]): string {
	return edits
		.map((e) => {
			const of = `${e.kind} ${e.namespace ? `${e.namespace}/` : ""}${e.name}`;
			return e.verb === "delete" ? `# ${of} goes\n` : `# ${of}\n${e.yaml ?? ""}${(e.yaml ?? "").endsWith("\n") ? "" : "\n"}`;
		})
		.join("");
}

export const isConflict = (e: unknown): boolean => e instanceof ApiError && e.status === 409;

/** Saves; the answer is the version that it has now. A conflict (isConflict) where somebody else saved or deleted it since. */
export async function saveDraft(o: DraftObject): Promise<DraftObject> {
	const is = !!o.metadata.resourceVersion;
	const r = await request(is ? "PUT" : "POST", pathOf("drafts", undefined, is ? o.metadata.name : undefined), { body: o });
	return (await r.json()) as DraftObject;
}
export async function readDraft(name: string): Promise<DraftObject> {
	return (await (await request("GET", pathOf("drafts", undefined, name))).json()) as DraftObject;
}
/** Deletes it if it is the version that was seen. */
export async function removeDraft(s: Shared): Promise<void> {
	await request("DELETE", pathOf("drafts", undefined, s.name), {
		body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid: s.uid, resourceVersion: s.version } },
	});
}
