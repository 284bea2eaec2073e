// SPDX-License-Identifier: Apache-2.0
// What is edited and not applied yet: an ordered list of edits, one for each object, with undo and redo of each step. Views
// put edits here; Review.svelte shows them as text and as effect, and applies them as one change.
import type { ApiObject, Edit } from "../api/wire.ts";
import type { Shared } from "./shareddraft.ts";
import { keyOf } from "./objects.svelte.ts";

interface Step {
	title: string;
	edits: Edit[];
}

export class Draft {
	/** The review is open. */
	reviewing = $state(false);
	/** It is being saved under a name. */
	saving = $state(false);
	/** The saved draft that this one was opened from, or was saved as, in the version that was seen. */
	shared: Shared | null = $state.raw(null);
	/** What that version holds: anything else is not saved yet. */
	private kept: readonly Edit[] = $state.raw([]);
	private steps: Step[] = $state.raw([]);
	private future: Step[] = $state.raw([]);

	get edits(): Edit[] {
		return this.steps.at(-1)?.edits ?? [];
	}
	get title(): string {
		return this.steps.map((s) => s.title).join("; ");
	}
	get unsaved(): boolean {
		return !this.shared || JSON.stringify(this.kept) !== JSON.stringify(this.edits);
	}
	get undoTitle(): string {
		return this.steps.at(-1)?.title ?? "";
	}
	get redoTitle(): string {
		return this.future[0]?.title ?? "";
	}

	/** One step: each edit takes the place of an earlier one of the same object. */
	put(title: string, ...edits: Edit[]): void {
		this.steps = [...this.steps, { title, edits: laidOver(this.edits, edits) }];
		this.future = [];
	}
	/** The edit that the draft has of an object, if any. */
	of(kind: string, o: { metadata: { namespace?: string; name: string } }): Edit | undefined {
		return this.edits.find((e) => e.kind === kind && keyOf({ metadata: { name: e.name, ...(e.namespace ? { namespace: e.namespace } : {}) } }) === keyOf(o));
	}
	undo(): void {
		const s = this.steps.at(-1);
		if (!s) return;
		this.steps = this.steps.slice(0, -1);
		this.future = [s, ...this.future];
	}
	redo(): void {
		const s = this.future[0];
		if (!s) return;
		this.future = this.future.slice(1);
		this.steps = [...this.steps, s];
	}
	clear(): void {
		this.steps = [];
		this.future = [];
		this.shared = null;
		this.kept = [];
	}
	/** In place of what is here: a saved draft. */
	open(s: Shared, edits: readonly Edit[]): void {
		this.steps = [{ title: s.title || s.name, edits: [...edits] }];
		this.future = [];
		this.keep(s);
	}
	/** What is here is what that version of the saved draft holds. */
	keep(s: Shared): void {
		this.shared = s;
		this.kept = this.edits;
	}
}

export const draft = new Draft();

/** The edits with more of them: a later one takes the place of an earlier one of the same object, and to delete what was never
    seen outside of the draft only takes its edit away. */
export function laidOver(edits: readonly Edit[], more: readonly Edit[]): Edit[] {
	const id = (e: Edit): string => `${e.kind}/${e.namespace ?? ""}/${e.name}`;
	const added = new Set(more.map(id));
	return [...edits.filter((e) => !added.has(id(e))), ...more.filter((e) => e.verb !== "delete" || e.resourceVersion)];
}

/** An edit that leaves an object as `yaml`; the version is the one that was seen, so that nobody's change is lost. */
export function putEdit(kind: string, name: string, yaml: string, seen?: ApiObject): Edit {
	return {
		verb: "put", kind, name, yaml,
		...(seen?.metadata.namespace ? { namespace: seen.metadata.namespace } : {}),
		...(seen?.metadata.resourceVersion ? { resourceVersion: seen.metadata.resourceVersion } : {}),
	};
}
export function deleteEdit(kind: string, seen: ApiObject): Edit {
	return {
		verb: "delete", kind, name: seen.metadata.name,
		...(seen.metadata.namespace ? { namespace: seen.metadata.namespace } : {}),
		...(seen.metadata.resourceVersion ? { resourceVersion: seen.metadata.resourceVersion } : {}),
	};
}
