// SPDX-License-Identifier: Apache-2.0
// The objects in force, by kind (plural) and "namespace/name", as the stream tells them. Readers are told by kind: whoever
// reads of(kind) is run again when something of that kind changed. Never writes to the hub.
import { SvelteMap } from "svelte/reactivity";
import type { ApiObject, ObjectsEvent } from "../api/wire.ts";

export function keyOf(o: { metadata: { namespace?: string; name: string } }): string {
	return o.metadata.namespace ? `${o.metadata.namespace}/${o.metadata.name}` : o.metadata.name;
}

export class Objects {
	private readonly kinds = new Map<string, Map<string, ApiObject>>();
	private readonly versions = new SvelteMap<string, number>();

	take(e: ObjectsEvent): void {
		let m = this.kinds.get(e.kind);
		if (!m || e.snapshot) this.kinds.set(e.kind, (m = new Map()));
		for (const { type, object } of e.changes)
			if (type === "DELETED") m.delete(keyOf(object));
			else m.set(keyOf(object), object);
		this.versions.set(e.kind, (this.versions.get(e.kind) ?? 0) + 1);
	}

	/** All of a kind, sorted by key; empty where it is not followed. */
	of<T extends ApiObject>(plural: string): T[] {
		void this.versions.get(plural);
		const m = this.kinds.get(plural);
		return m ? ([...m.entries()].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map((x) => x[1]) as T[]) : [];
	}

	one<T extends ApiObject>(plural: string, key: string): T | undefined {
		void this.versions.get(plural);
		return this.kinds.get(plural)?.get(key) as T | undefined;
	}
}
