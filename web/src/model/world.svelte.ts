// SPDX-License-Identifier: Apache-2.0
// What the page knows now: the session, the objects, the graph, the broker's rates, how old all of it is. One of it; views
// read it, and only the stream writes it.
import { me as askMe } from "../api/http.ts";
import { KINDS } from "../api/kinds.gen.ts";
import { Live } from "../api/live.ts";
import type { BrokerEvent, GraphEvent, Me, StateEvent } from "../api/wire.ts";
import { emptyGraph, type Graph, takeGraph } from "./graph.ts";
import { Objects } from "./objects.svelte.ts";

/** The kinds that the page follows from its start. */
export const FOLLOWED = [
	"namespaces", "nodes", "pods", "services", "endpointslices", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs",
	"networkpolicies", "clusternetworkpolicies", "addresspools", "tools", "toolgroups", "trafficfilters", "trafficmaps", "captures", "alerts",
	"drafts",
] as const;

export type LinkState = "starting" | "live" | "lost" | "refused";

export class World {
	me: Me | null = $state.raw(null);
	link: LinkState = $state("starting");
	/** Everything that is there has come once. */
	synced = $state(false);
	state: StateEvent | null = $state.raw(null);
	broker: BrokerEvent | null = $state.raw(null);
	readonly objects = new Objects();
	/** Changed in place; `frame` tells when. */
	readonly graph: Graph = emptyGraph();
	frame = $state(0);
	/** Tells when there are other ends. */
	ends = $state(0);
	/** When something was last heard, ms since 1970. */
	heard = $state(0);
	failure = $state("");

	private readonly live = new Live({
		objects: (e) => this.hear(() => this.objects.take(e)),
		synced: () => this.hear(() => (this.synced = true)),
		graph: (e) => this.hear(() => this.takeGraph(e)),
		broker: (e) => this.hear(() => (this.broker = e)),
		state: (e) => this.hear(() => (this.state = e)),
		link: (open) => (this.link = open ? "live" : "lost"),
		refused: () => (this.link = "refused"),
	});

	async start(): Promise<void> {
		try {
			this.me = await askMe();
			this.live.open(FOLLOWED.filter((k) => k in KINDS));
		} catch (e) {
			const status = (e as { status?: number }).status;
			this.failure = (e as Error).message;
			this.link = status === 401 ? "refused" : "lost";
			if (status !== 401) setTimeout(() => void this.start(), 1500);
		}
	}

	stop(): void {
		this.live.close();
	}

	private hear(fn: () => void): void {
		this.heard = Date.now();
		fn();
	}

	private takeGraph(e: GraphEvent): void {
		if (takeGraph(this.graph, e)) this.ends++;
		this.frame++;
	}
}

export const world = new World();
