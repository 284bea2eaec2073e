// SPDX-License-Identifier: Apache-2.0
// The answer of `weft why -o json` as steps that a person reads. Families that say the same are one. Pure.

interface Policy {
	policy: string;
	rules?: number;
	what?: string;
	rule?: string;
	file?: string;
	line?: number;
	column?: number;
}
interface Side {
	direction: "egress" | "ingress";
	pod: string;
	peer: string;
	allowed: boolean;
	reason: string;
	passed?: Policy[];
	policies?: Policy[];
	missed?: Policy[];
	differs?: string;
	kernelAsked?: boolean;
}
interface Flow {
	port: number;
	way?: string;
	address: string;
	seenAs?: string;
	pod?: string;
	node?: string;
	egress?: Side;
	ingress?: Side;
	allowed: boolean;
	note?: string;
}
interface Family {
	flows: Flow[];
	family: string;
	destination?: string;
	port?: number;
	allowed: boolean;
	some?: boolean;
	note?: string;
}
interface Answer {
	to?: { kind?: string };
	families?: Family[];
}

export interface WhyStep {
	title: string;
	text: string;
	verdict: "" | "allows" | "refuses";
	because: { text: string; place: string }[];
}
export interface WhyFamily {
	title: string;
	allowed: boolean;
	some: boolean;
	steps: WhyStep[];
	/** Directions that refuse it, and whether that is because no rule allows it: then one more rule lets it through. */
	refusedBy: { ingress: boolean; egress: boolean };
	byDefault: boolean;
}

const REASONS: Record<string, string> = {
	"not-selected": "no policy selects this pod in this direction: everything passes",
	"default-deny": "policies select this pod, and none of their rules allows this",
	rule: "a rule allows this",
	allowed: "a rule allows this",
	"denied-by-rule": "a rule denies this",
};

export function placeOf(p: { file?: string; line?: number; column?: number }): string {
	return p.file ? `${p.file}${p.line ? `:${p.line}${p.column ? `:${p.column}` : ""}` : ""}` : "";
}

function side(s: Side): WhyStep {
	const because = [
		...(s.passed ?? []).map((p) => ({ text: `${p.policy}${p.rule ? `, ${p.rule}` : ""}`, place: placeOf(p) })),
		...(s.allowed && s.passed?.length ? [] : (s.policies ?? []).map((p) => ({ text: `selected by ${p.policy}`, place: placeOf(p) }))),
		...(s.missed ?? []).map((p) => ({ text: `nearest: ${p.what ?? p.policy}`, place: placeOf(p) })),
		...(s.differs ? [{ text: s.differs, place: "" }] : []),
	];
	return {
		title: s.direction === "egress" ? `Leaving ${s.pod}:` : `Entering ${s.pod}:`,
		text: REASONS[s.reason] ?? s.reason.replace(/-/g, " "),
		verdict: s.allowed ? "allows" : "refuses",
		because,
	};
}

export function readWhy(answer: unknown): WhyFamily[] {
	const out: WhyFamily[] = [];
	const several = (answer as Answer).to?.kind === "service";
	for (const f of (answer as Answer).families ?? []) {
		const steps: WhyStep[] = [];
		for (const flow of f.flows) {
			if (f.flows.length > 1 || several)
				steps.push({ title: `To ${flow.pod ?? flow.address}`, text: flow.node ? `on ${flow.node}, port ${flow.port}` : `port ${flow.port}`, verdict: "", because: [] });
			if (flow.egress) steps.push(side(flow.egress));
			if (flow.ingress) steps.push(side(flow.ingress));
			if (flow.note) steps.push({ title: "", text: flow.note, verdict: "", because: [] });
		}
		const asked = f.flows.flatMap((x) => [x.egress, x.ingress]).filter((x): x is Side => x?.kernelAsked === true);
		if (asked.length && !asked.some((x) => x.differs)) steps.push({ title: "The kernel", text: "was asked the same question, and says the same", verdict: "", because: [] });
		if (f.note) steps.push({ title: "", text: f.note, verdict: "", because: [] });
		const sides = f.flows.flatMap((x) => [x.egress, x.ingress]).filter((x): x is Side => x !== undefined && !x.allowed);
		out.push({
			title: f.family, allowed: f.allowed, some: f.some === true, steps,
			refusedBy: { ingress: sides.some((x) => x.direction === "ingress"), egress: sides.some((x) => x.direction === "egress") },
			byDefault: sides.every((x) => x.reason === "default-deny"),
		});
	}
	const first = out[0];
	if (first && out.length > 1 && out.every((f) => JSON.stringify([f.allowed, f.steps]) === JSON.stringify([first.allowed, first.steps])))
		return [{ ...first, title: out.map((f) => f.title).join(" and ") }];
	return out;
}

/** What the nodes themselves say: their plans' rows and their kernels, beside what the model says. */
export interface KernelWord {
	/** Judgements that a kernel was asked for. */
	asked: number;
	/** Nodes whose kernels were asked. */
	nodes: string[];
	/** Where rows, objects or kernel do not say the same. */
	differs: string[];
	/** What is wrong with nodes that cannot be asked, or that go by what was in force before. */
	troubles: string[];
}

/** `model` is what the page shows: a verdict that is not the same is a difference, too. */
export function readKernel(answer: unknown, model: readonly WhyFamily[]): KernelWord {
	const a = answer as Answer & { troubles?: { node?: string; text?: string }[]; from?: { node?: string } };
	const out: KernelWord = { asked: 0, nodes: [], differs: [], troubles: (a.troubles ?? []).map((t) => `${t.node ?? "a node"}: ${t.text ?? ""}`) };
	const take = (s: Side | undefined, node: string | undefined): void => {
		if (!s) return;
		if (s.kernelAsked) {
			out.asked++;
			if (node && !out.nodes.includes(node)) out.nodes.push(node);
		}
		const where = `${s.direction === "egress" ? "leaving" : "entering"} ${s.pod}`;
		if (s.differs) out.differs.push(`${where}: ${s.differs}`);
	};
	for (const f of a.families ?? []) {
		for (const flow of f.flows) {
			take(flow.egress, a.from?.node);
			take(flow.ingress, flow.node);
		}
	}
	const now = readWhy(answer);
	if (model.length && now.length && model.some((m) => m.allowed) !== now.some((n) => n.allowed) && !out.differs.length) out.differs.push(`the model says ${model[0]?.allowed ? "allowed" : "refused"}, the nodes say ${now[0]?.allowed ? "allowed" : "refused"}`);
	out.nodes.sort();
	out.differs = [...new Set(out.differs)];
	return out;
}
