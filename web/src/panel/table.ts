// SPDX-License-Identifier: Apache-2.0
// A column of Table.svelte: what it sorts by, and what it shows.

export interface Column<T> {
	id: string;
	title: string;
	value: (row: T) => string | number;
	/** What is shown, where it is not the value itself. */
	text?: (row: T) => string;
	number?: boolean;
}
