// SPDX-License-Identifier: Apache-2.0
// Light, dark, or as the system says; kept in this browser.

const ORDER = ["", "light", "dark"] as const;
const WORDS: Record<string, string> = { "": "As system", light: "Light", dark: "Dark" };

class Theme {
	now: string = $state(localStorage.getItem("weft-theme") ?? "");

	constructor() {
		this.show();
	}

	get word(): string {
		return WORDS[this.now] ?? "As system";
	}

	next(): void {
		this.now = ORDER[(ORDER.indexOf(this.now as (typeof ORDER)[number]) + 1) % ORDER.length] ?? "";
		localStorage.setItem("weft-theme", this.now);
		this.show();
	}

	private show(): void {
		if (this.now) document.documentElement.dataset["theme"] = this.now;
		else delete document.documentElement.dataset["theme"];
	}
}

export const theme = new Theme();
