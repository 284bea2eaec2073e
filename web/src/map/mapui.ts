// SPDX-License-Identifier: Apache-2.0
// What the map's pieces may ask of the view that holds them.
import type { Chosen, MapState } from "./mapstate.svelte.ts";

export const MAP_UI = "map-ui";
export interface MapUi {
	map: MapState;
	choose(what: Chosen): void;
	toggle(box: string): void;
	/** The one card that Tab reaches; arrows go on from there. */
	tabStop(id: string): boolean;
	focused(id: string): void;
	menu(e: MouseEvent, what: NonNullable<Chosen>): void;
}
