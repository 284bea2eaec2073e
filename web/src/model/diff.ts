// SPDX-License-Identifier: Apache-2.0
// The difference of two texts by lines, with some lines of context around each change. Pure.

export interface DiffLine {
	sign: " " | "+" | "-" | "…";
	text: string;
	/** Line numbers from 1 in the text before and after; 0 where it has none. */
	before: number;
	after: number;
}

/** Longest common subsequence by rows; texts of more than 3,000 lines are shown as gone and come. */
export function diffLines(before: string, after: string, context = 3): DiffLine[] {
	const a = before === "" ? [] : before.replace(/\n$/, "").split("\n");
	const b = after === "" ? [] : after.replace(/\n$/, "").split("\n");
	let head = 0;
	while (head < a.length && head < b.length && a[head] === b[head]) head++;
	let tail = 0;
	while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
	const x = a.slice(head, a.length - tail), y = b.slice(head, b.length - tail);
	const all: DiffLine[] = [];
	for (let i = 0; i < head; i++) all.push({ sign: " ", text: a[i] ?? "", before: i + 1, after: i + 1 });
	middle(x, y, head, all);
	for (let i = 0; i < tail; i++)
		all.push({ sign: " ", text: a[a.length - tail + i] ?? "", before: a.length - tail + i + 1, after: b.length - tail + i + 1 });
	return fold(all, context);
}

function middle(x: string[], y: string[], from: number, all: DiffLine[]): void {
	const n = x.length, m = y.length;
	if (n > 3000 || m > 3000) {
		x.forEach((text, i) => all.push({ sign: "-", text, before: from + i + 1, after: 0 }));
		y.forEach((text, i) => all.push({ sign: "+", text, before: 0, after: from + i + 1 }));
		return;
	}
	const width = m + 1;
	const length = new Uint16Array((n + 1) * width);
	for (let i = n - 1; i >= 0; i--)
		for (let j = m - 1; j >= 0; j--)
			length[i * width + j] = x[i] === y[j] ? (length[(i + 1) * width + j + 1] ?? 0) + 1 : Math.max(length[(i + 1) * width + j] ?? 0, length[i * width + j + 1] ?? 0);
	let i = 0, j = 0;
	while (i < n || j < m) {
		if (i < n && j < m && x[i] === y[j]) all.push({ sign: " ", text: x[i] ?? "", before: from + ++i, after: from + ++j });
		else if (i < n && (j === m || (length[(i + 1) * width + j] ?? 0) >= (length[i * width + j + 1] ?? 0))) all.push({ sign: "-", text: x[i] ?? "", before: from + ++i, after: 0 });
		else all.push({ sign: "+", text: y[j] ?? "", before: 0, after: from + ++j });
	}
}

function fold(all: DiffLine[], context: number): DiffLine[] {
	const keep = new Uint8Array(all.length);
	all.forEach((l, i) => {
		if (l.sign !== " ") for (let k = Math.max(0, i - context); k <= Math.min(all.length - 1, i + context); k++) keep[k] = 1;
	});
	const out: DiffLine[] = [];
	let left = 0;
	all.forEach((l, i) => {
		if (keep[i]) {
			if (left) out.push({ sign: "…", text: `${left} lines`, before: 0, after: 0 });
			left = 0;
			out.push(l);
		} else left++;
	});
	if (left && out.length) out.push({ sign: "…", text: `${left} lines`, before: 0, after: 0 });
	return out;
}

/** The lines of a unified difference, as a server prints it. */
export function readUnified(text: string): DiffLine[] {
	const out: DiffLine[] = [];
	let before = 0, after = 0;
	for (const line of text.replace(/\n$/, "").split("\n")) {
		const hunk = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(line);
		if (hunk) {
			before = Number(hunk[1]);
			after = Number(hunk[2]);
			if (out.length) out.push({ sign: "…", text: "", before: 0, after: 0 });
		} else if (/^(---|\+\+\+) /.test(line) && !before) continue;
		else if (line.startsWith("+")) out.push({ sign: "+", text: line.slice(1), before: 0, after: after++ });
		else if (line.startsWith("-")) out.push({ sign: "-", text: line.slice(1), before: before++, after: 0 });
		else if (line.startsWith(" ") || line === "") out.push({ sign: " ", text: line.slice(1), before: before++, after: after++ });
	}
	return out;
}
