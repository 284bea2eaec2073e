// SPDX-License-Identifier: Apache-2.0
// The capture of what the map shows: taken at one end, of what goes between it and the other.
import type { ApiObject } from "../api/wire.ts";
import type { CaptureWish } from "../model/captureform.ts";
import { addressesOf, portTerms, wishFor } from "../model/packetwish.ts";
import { type Known, sourceByLink, sourcesOf } from "../model/source.ts";
import { world } from "../model/world.svelte.ts";
import type { Chosen, MapState } from "./mapstate.svelte.ts";

function known(): Known {
	const o = world.objects;
	return {
		namespaces: o.of("namespaces"), pods: o.of("pods"), services: o.of("services"), nodes: o.of("nodes"),
		workloads: [...o.of("deployments"), ...o.of("statefulsets"), ...o.of("daemonsets"), ...o.of("jobs")], interfaces: [],
	};
}

/** `source` is the end that packets are taken at; "" : nowhere. */
export function packetsOf(map: MapState, what: NonNullable<Chosen>, source: string): CaptureWish | null {
	const k = known(), key = source ? sourceByLink(source, k) : null;
	const spec = key ? sourcesOf(k).find((s) => s.key === key)?.spec : undefined;
	if (!spec) return null;
	const link = what.kind === "link" ? map.links.get(what.id) : undefined;
	if (!link) return wishFor(spec, "", []);
	const other = map.item(link.from === source ? link.to : link.from);
	const services = [...new Set(link.edges.map((e) => e.service).filter((s): s is string => !!s))].map((s) => world.objects.one<ApiObject<{ ports?: { port: number }[] }>>("services", s)).filter((s) => s !== undefined);
	const pods = other?.kind === "workload" ? map.podsNamed(other.namespace, other.title) : [];
	const network = other?.kind === "outside" ? /^outside\/([0-9a-fA-F.:]+\/\d+)$/.exec(other.id)?.[1] : undefined;
	const ports = services.flatMap((s) => (s.spec?.ports ?? []).map((p) => p.port));
	return wishFor(spec, portTerms(link.edges, ports), network ? [network] : addressesOf(pods, link.to === other?.id ? services : []));
}
