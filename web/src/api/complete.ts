// SPDX-License-Identifier: Apache-2.0
// What may stand at the end of an unfinished filter: fields, words, names that are there now.
import { get } from "./http.ts";

export interface Completion {
	/** The whole text with it taken. */
	text: string;
	/** What is shown. */
	word: string;
	note?: string;
}

export async function complete(text: string, signal: AbortSignal): Promise<Completion[]> {
	const a = await get<{ items?: Completion[] }>(`/page/complete?what=filter&text=${encodeURIComponent(text)}`, signal);
	return a.items ?? [];
}
