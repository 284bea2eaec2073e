// SPDX-License-Identifier: Apache-2.0
// Who reaches whom, workload by workload, out of the answer of `weft reach --offline -o json`. Pure.

interface ReachAnswer {
	results?: { from: string; to: string; port: number; protocol: string; family: string; model: "yes" | "no" | "rst" | string }[];
}

export type CellState = "yes" | "no" | "some";
export interface MatrixColumn {
	/** "shop/cart:7000" or "shop/dns:53/udp". */
	id: string;
	to: string;
	port: number;
	protocol: string;
}
export interface Matrix {
	rows: string[];
	columns: MatrixColumn[];
	/** By row and column id. */
	cells: Map<string, Map<string, CellState>>;
}

export function columnId(to: string, port: number, protocol: string): string {
	return `${to}:${port}${protocol.toLowerCase() === "tcp" ? "" : `/${protocol.toLowerCase()}`}`;
}

/** idOf: a pod's "ns/name" → its workload's id; what it does not know stands for itself. */
export function matrixOf(answer: unknown, idOf: (pod: string) => string): Matrix {
	const columns = new Map<string, MatrixColumn>();
	const cells: Matrix["cells"] = new Map();
	for (const r of (answer as ReachAnswer).results ?? []) {
		const from = idOf(r.from), to = idOf(r.to), id = columnId(to, r.port, r.protocol);
		if (!columns.has(id)) columns.set(id, { id, to, port: r.port, protocol: r.protocol });
		let row = cells.get(from);
		if (!row) cells.set(from, (row = new Map()));
		const now: CellState = r.model === "yes" ? "yes" : "no";
		const had = row.get(id);
		row.set(id, had === undefined || had === now ? now : "some");
	}
	const by = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true });
	return { rows: [...cells.keys()].sort(by), columns: [...columns.values()].sort((a, b) => by(a.id, b.id)), cells };
}
