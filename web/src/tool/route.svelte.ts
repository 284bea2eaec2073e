// SPDX-License-Identifier: Apache-2.0
// Where the page is: the view and what it shows stand in the address bar, so that a view can be sent to a colleague.
// go() writes it; back and forward of the browser work.

export const VIEWS = ["map", "broker", "policies", "flows", "captures", "objects", "health", "changes"] as const;
export type View = (typeof VIEWS)[number];

function viewOf(path: string): View {
	const first = path.split("/")[1] ?? "";
	return (VIEWS as readonly string[]).includes(first) ? (first as View) : "map";
}

class Route {
	view: View = $state(viewOf(location.pathname));
	/** What follows the view, a word each: ["pods", "shop", "page-1"]. */
	rest: string[] = $state.raw([]);
	query: URLSearchParams = $state.raw(new URLSearchParams());

	constructor() {
		this.read();
		addEventListener("popstate", () => this.read());
	}

	get filter(): string {
		return this.query.get("f") ?? "";
	}

	/** Goes to a view; query values that are "" are left out. */
	go(view: View, rest: string[] = [], query: Record<string, string> = {}): void {
		const q = new URLSearchParams();
		for (const [k, v] of Object.entries(query)) if (v) q.set(k, v);
		const text = q.toString();
		history.pushState(null, "", `/${[view, ...rest].map((x) => x.split("/").map(encodeURIComponent).join("/")).join("/")}${text ? `?${text}` : ""}`);
		this.read();
	}

	/** Changes one value of the query where the page is; not a step of the browser's history. */
	set(key: string, value: string): void {
		const q = new URLSearchParams(this.query);
		if (value) q.set(key, value);
		else q.delete(key);
		const text = q.toString();
		history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}`);
		this.read();
	}

	private read(): void {
		this.view = viewOf(location.pathname);
		this.rest = location.pathname.split("/").slice(2).filter(Boolean).map(decodeURIComponent);
		this.query = new URLSearchParams(location.search);
	}
}

export const route = new Route();
