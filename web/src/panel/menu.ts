// SPDX-License-Identifier: Apache-2.0
// A line of Menu.svelte.

export interface MenuItem {
	title: string;
	run: () => void;
	keys?: string;
	disabled?: boolean;
	/** Why it cannot be done, or what it does. */
	why?: string;
	/** A line above it. */
	line?: boolean;
}
