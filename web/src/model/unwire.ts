// SPDX-License-Identifier: Apache-2.0
// What it means to take something away from the broker, as a step of the draft. A map without a source or a tool goes as a
// whole; a filter goes from no map that would then take everything. Pure.
import type { TrafficmapSpec } from "../api/kinds.gen.ts";
import { type Board, type BoardMap, targetKey } from "./board.ts";
import { sourceKey } from "./source.ts";
import { dropClause, type Meaning, type Place, type Put, type Step } from "./wiring.ts";

const specOf = (m: BoardMap): TrafficmapSpec => m.object.spec ?? { from: [], to: [] };
const put = (m: BoardMap, spec: TrafficmapSpec): Put => ({ kind: "TrafficMap", object: { ...m.object, spec } });

function wire(m: BoardMap, spec: TrafficmapSpec, what: string): Step {
	if (!spec.from.length || !spec.to.length) return { title: `no map ${m.name}`, puts: [], deletes: [{ kind: "TrafficMap", name: m.name }] };
	return { title: `${m.name} without ${what}`, puts: [put(m, spec)], deletes: [] };
}

/** Maps that named one of `keys` as a target, without it. */
function released(b: Board, keys: ReadonlySet<string>): Step {
	const all: Step = { title: "", puts: [], deletes: [] };
	for (const m of b.maps) {
		if (m.state === "removed" || !m.to.some((t) => keys.has(t.key))) continue;
		const s = wire(m, { ...specOf(m), to: specOf(m).to.filter((t) => !keys.has(targetKey(t))) }, "");
		all.puts.push(...s.puts);
		all.deletes.push(...s.deletes);
	}
	return all;
}

function tool(b: Board, name: string): Meaning {
	const t = b.tools.find((x) => x.name === name);
	if (!t) return { why: "that tool is gone" };
	const grouped = b.groups.filter((g) => g.state !== "removed" && g.object.spec?.members.some((x) => x.tool === name));
	if (grouped.length) return { why: `group ${grouped.map((g) => g.name).join(", ")} has it: take it out there first` };
	const s = released(b, new Set(t.ports.map((p) => targetKey({ tool: name, port: p.name }))));
	const ended = s.deletes.map((d) => d.name);
	return { title: `no tool ${name}${ended.length ? `, and no map ${ended.join(", ")}` : ""}`, puts: s.puts, deletes: [...s.deletes, { kind: "Tool", name }] };
}

function filter(b: Board, name: string): Meaning {
	const using = b.maps.filter((m) => m.state !== "removed" && specOf(m).filterRefs?.includes(name));
	if (using.length) return { why: `map ${using.map((m) => m.name).join(", ")} takes by it: take it away there first` };
	return { title: `no filter ${name}`, puts: [], deletes: [{ kind: "TrafficFilter", name }] };
}

/** null: it is nothing that can be taken away. */
export function removal(b: Board, p: Place): Meaning | null {
	const map = (name: string): BoardMap | undefined => b.maps.find((m) => m.name === name && m.state !== "removed");
	switch (p.type) {
		case "map": {
			const by = b.maps.filter((m) => m.state !== "removed" && specOf(m).except?.includes(p.name));
			if (!map(p.name)) return null;
			return {
				title: `no map ${p.name}`,
				puts: by.map((m) => {
					const except = specOf(m).except?.filter((x) => x !== p.name) ?? [];
					const { except: _, to, ...head } = specOf(m);
					return put(m, { ...head, ...(except.length ? { except } : {}), to });
				}),
				deletes: [{ kind: "TrafficMap", name: p.name }],
			};
		}
		case "clause": {
			const m = map(p.map);
			return m ? dropClause(m, p.index) : null;
		}
		case "wire": {
			const m = map(p.map), w = b.wires.find((x) => x.id === p.id);
			if (!m || !w) return null;
			const spec = specOf(m);
			if (w.source) return wire(m, { ...spec, from: spec.from.filter((s) => sourceKey(s) !== w.source?.key) }, w.source.title);
			return wire(m, { ...spec, to: spec.to.filter((t) => targetKey(t) !== w.target?.key) }, w.target?.title ?? "");
		}
		case "tool":
			return tool(b, p.tool);
		case "group": {
			const s = released(b, new Set([`group:${p.name}`]));
			const ended = s.deletes.map((d) => d.name);
			return { title: `no group ${p.name}${ended.length ? `, and no map ${ended.join(", ")}` : ""}`, puts: s.puts, deletes: [...s.deletes, { kind: "ToolGroup", name: p.name }] };
		}
		case "filter":
			return filter(b, p.name);
		default:
			return null;
	}
}

/** A map without one of its exceptions, or without the rest. */
export function withoutException(m: BoardMap, name: string): Step {
	const { except: all, to, ...head } = specOf(m);
	const except = all?.filter((x) => x !== name) ?? [];
	return { title: `${m.name} takes what ${name} took too`, puts: [put(m, { ...head, ...(except.length ? { except } : {}), to })], deletes: [] };
}
export function withoutRest(m: BoardMap): Step {
	const { rest: _, ...spec } = specOf(m);
	return { title: `${m.name} takes not only the rest`, puts: [put(m, spec)], deletes: [] };
}
