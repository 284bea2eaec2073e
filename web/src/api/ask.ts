// SPDX-License-Identifier: Apache-2.0
// Questions that the hub answers as the command line does, and changes of objects.
import { get, post } from "./http.ts";
import type { Change, Edit } from "./wire.ts";

/** NAME is a question of doc/internals.md, "Page"; the answer is what `weft NAME -o json` prints. */
export function ask<T>(name: string, question: Record<string, unknown> = {}, signal?: AbortSignal): Promise<T> {
	return post<T>(`/page/ask/${name}`, question, signal);
}

export interface ChangeRequest {
	name: string;
	reason: string;
	edits: Edit[];
	dry?: boolean;
}
/** The hub numbers changes; here a number is a name. */
type Numbered = Omit<Change, "id" | "undoes" | "undone"> & { id?: number | null; undoes?: number | null; undone?: number | null };
function named(c: Numbered): Change {
	const text = (n: number | null | undefined): string | null => (n === null || n === undefined ? null : String(n));
	return { ...c, id: text(c.id), undoes: text(c.undoes), undone: text(c.undone) };
}
export async function change(c: ChangeRequest): Promise<Change> {
	return named(await post<Numbered>("/page/changes", c));
}
export async function changes(limit = 100, before?: string): Promise<{ changes: Change[] }> {
	const l = await get<{ changes: Numbered[] }>(`/page/changes?limit=${limit}${before ? `&before=${encodeURIComponent(before)}` : ""}`);
	return { changes: l.changes.map(named) };
}
export async function changeById(id: string): Promise<Change> {
	return named(await get<Numbered>(`/page/changes/${encodeURIComponent(id)}`));
}
export async function undo(id: string, reason: string, dry = false): Promise<Change> {
	return named(await post<Numbered>(`/page/changes/${encodeURIComponent(id)}/undo`, { reason, dry }));
}
