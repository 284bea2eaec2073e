// SPDX-License-Identifier: Apache-2.0
// Short notices about what was done, read aloud by screen readers; errors stay until they are dismissed.

export interface Notice {
	id: number;
	level: "done" | "error";
	text: string;
	action?: { title: string; run: () => void };
}

class Notices {
	list: Notice[] = $state.raw([]);
	private next = 1;

	done(text: string, action?: Notice["action"]): void {
		const id = this.push({ level: "done", text, ...(action ? { action } : {}) });
		setTimeout(() => this.drop(id), 9000);
	}

	error(e: unknown): void {
		this.push({ level: "error", text: e instanceof Error ? e.message : String(e) });
	}

	drop(id: number): void {
		this.list = this.list.filter((n) => n.id !== id);
	}

	private push(n: Omit<Notice, "id">): number {
		const id = this.next++;
		this.list = [...this.list, { ...n, id }];
		return id;
	}
}

export const notices = new Notices();
