// SPDX-License-Identifier: Apache-2.0
// Everything that can be done, by name: the command palette lists them, keys call them, menus show them. A view adds its own
// while it is there. One list, so that nothing can be done by mouse alone.

export interface Command {
	id: string;
	/** As a person says it: "Send a copy to a tool". */
	title: string;
	/** Where it belongs in lists: "Go to", "Map", "Broker", … */
	group: string;
	/** "?" , "g m", "Ctrl+z": keys one after the other stand with a blank between. */
	keys?: string;
	enabled?: () => boolean;
	run: () => void;
}

class Commands {
	private list: Command[] = $state.raw([]);

	/** Adds some; the answer takes them away again (return it from $effect or onMount). */
	add(commands: Command[]): () => void {
		this.list = [...this.list, ...commands];
		return () => {
			this.list = this.list.filter((c) => !commands.includes(c));
		};
	}

	get all(): Command[] {
		return this.list;
	}

	find(keys: string): Command | undefined {
		return this.list.findLast((c) => c.keys === keys && (c.enabled?.() ?? true));
	}

	/** Whether keys begin some command's: then the next one is waited for. */
	begins(keys: string): boolean {
		return this.list.some((c) => c.keys?.startsWith(keys + " "));
	}
}

export const commands = new Commands();
