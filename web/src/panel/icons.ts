// SPDX-License-Identifier: Apache-2.0
// Paths of the icons, drawn for 20 × 20, stroked. An icon never stands without words.

export const ICONS: Readonly<Record<string, string>> = {
	map: "M4 5h4v4H4zM12 3h4v4h-4zM12 13h4v4h-4zM8 7h2.5v-2H12M8 8l4 6",
	broker: "M3 4v12M17 4v12M3 7h5l4 6h5M3 13h5l4-6h5",
	policies: "M3 3h14v14H3zM3 8h14M3 13h14M8 3v14M13 3v14",
	flows: "M3 5h14M3 10h9M3 15h12M14 8l3 2-3 2",
	captures: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
	objects: "M4 4h12v4H4zM4 12h12v4H4zM7 8v4M13 8v4",
	health: "M2 11h4l2-6 4 11 2-5h4",
	changes: "M5 3v14M5 7h6a4 4 0 0 1 4 4v6M3 15l2 2 2-2M13 15l2 2 2-2",
	search: "M9 3a6 6 0 1 0 0 12A6 6 0 0 0 9 3zM13.5 13.5L17 17",
	theme: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14",
	pods: "M10 3l6 3.5v7L10 17l-6-3.5v-7zM4 6.5l6 3.5 6-3.5M10 10v7",
	service: "M10 4a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM4 10h12M10 4c2.5 3.5 2.5 8.5 0 12M10 4c-2.5 3.5-2.5 8.5 0 12",
	uplink: "M4 12h12v4H4zM10 12V4M7 7l3-3 3 3",
	interface: "M4 5h12v8H4zM8 13v3M12 13v3M7 9h6",
	tool: "M4 5h12v10H4zM7 9h6M7 12h3",
	group: "M3 4h9v6H3zM8 10h9v6H8z",
	filter: "M3 4h14l-5.5 6.5V16l-3-1.5v-4z",
	node: "M4 4h12v5H4zM4 11h12v5H4zM7 6.5h.01M7 13.5h.01",
	outside: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM3 10h14M10 3c-4 4-4 10 0 14M10 3c4 4 4 10 0 14",
	unknown: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM8 8a2 2 0 1 1 2.5 2c-.5.2-.5.6-.5 1M10 13.5h.01",
	hidden: "M3 10c3-5 11-5 14 0-3 5-11 5-14 0zM4 16L16 4",
	user: "M10 3a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM3 17c1-4 4-5 7-5s6 1 7 5",
};
