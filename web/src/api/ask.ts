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
export function change(c: ChangeRequest): Promise<Change> {
	return post<Change>("/page/changes", c);
}
export function changes(limit = 100, before?: string): Promise<{ changes: Change[] }> {
	return get(`/page/changes?limit=${limit}${before ? `&before=${encodeURIComponent(before)}` : ""}`);
}
export function changeById(id: string): Promise<Change> {
	return get(`/page/changes/${encodeURIComponent(id)}`);
}
export function undo(id: string, reason: string, dry = false): Promise<Change> {
	return post<Change>(`/page/changes/${encodeURIComponent(id)}/undo`, { reason, dry });
}
