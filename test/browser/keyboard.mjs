#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What the mouse can do, the keyboard can: in every view, dialog and menu, all that reacts to the mouse is found in the running page
// (the framework's handlers and the browser's own list of them), and the keyboard has to come to each: by Tab, by arrows, or by
// the twin that TWINS names for it, which is then shown to act the same. What is in neither is an error: a thing for the mouse alone.
import { assert, start, until } from "./lib.mjs";

const t = await start("keyboard", ["examples/shop", "examples/page"], { up: ["--writable"] });
await until("all pods are ready", async () => !/ 0\/1 | Pending | Init/.test(await t.weft(["get", "pods", "-A"])), 30000);
const page = await t.open("/map", { width: 1280, height: 800 });
const cdp = await page.context().newCDPSession(page);
const keys = page.keyboard;

/** What is no control and reacts to the mouse all the same, and by what name its twin is shown below. */
const TWINS = [
	{ at: "li[role=option]", on: ["click", "pointerdown"], twin: "options" },
	// a table that offers no choice has the handler too, and it does nothing
	{ at: "tr.choosable, [role=region] > table[aria-rowcount] > tbody > tr", on: ["click"], twin: "rows" },
	{ at: ".tables > .table, .flows .middle > .table", on: ["contextmenu"], twin: "row menus" },
	{ at: ".plane", on: ["pointerdown", "pointermove", "pointerleave", "click"], twin: "cards to tools" },
	{ at: ".svelte-flow, [class*=svelte-flow__]", on: null, twin: "the plane" },
	{ at: ".board", on: ["pointerdown"], twin: "carrying" },
];
const shown = new Set();
const used = new Map();
const MOUSE = ["click", "dblclick", "auxclick", "contextmenu", "wheel", "mousedown", "mouseup", "mousemove", "mouseenter", "mouseleave", "mouseover", "mouseout", "pointerdown", "pointerup", "pointermove", "pointerenter",
	"pointerleave", "pointerover", "pointerout", "dragstart", "dragover", "dragenter", "drop", "touchstart", "touchmove", "touchend"];

/** Marks each element that reacts to the mouse with data-mouse: what it reacts to. */
async function mark() {
	await page.evaluate((mouse) => {
		for (const e of document.querySelectorAll("[data-mouse]")) e.removeAttribute("data-mouse");
		const of = (e) => {
			const symbol = Object.getOwnPropertySymbols(e).find((s) => s.description === "events");
			return symbol ? Object.keys(e[symbol]).filter((n) => e[symbol][n]) : [];
		};
		for (const e of document.body.querySelectorAll("*")) {
			const names = of(e).filter((n) => mouse.includes(n));
			if (names.length) e.setAttribute("data-mouse", names.join(" "));
			if (of(e).some((n) => n.startsWith("focus"))) e.setAttribute("data-focuses", "");
		}
	}, MOUSE);
	const { result } = await cdp.send("Runtime.evaluate", { expression: "document.body" });
	const { listeners } = await cdp.send("DOMDebugger.getEventListeners", { objectId: result.objectId, depth: -1 });
	for (const l of listeners) {
		if (!l.backendNodeId || !(MOUSE.includes(l.type) || l.type === "focus")) continue;
		const { object } = await cdp.send("DOM.resolveNode", { backendNodeId: l.backendNodeId }).catch(() => ({}));
		if (!object) continue;
		await cdp.send("Runtime.callFunctionOn", {
			objectId: object.objectId, arguments: [{ value: l.type }],
			// the framework listens for all at the root
			functionDeclaration: `function (type) {
				if (this.id === "page" || this === document.body) return;
				if (type === "focus") { this.setAttribute("data-focuses", ""); return; }
				this.setAttribute("data-mouse", [...new Set([...(this.getAttribute("data-mouse") ?? "").split(" ").filter(Boolean), type])].join(" "));
			}`,
		});
	}
}

/** Goes everywhere by keys: Tab through all, arrows wherever one stop stands for many. */
async function walk() {
	await page.evaluate(() => {
		globalThis.reached = new Set();
		globalThis.saysOf = (e) => `${e.tagName.toLowerCase()} ${(e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent || e.title || e.className || "").replace(/\s+/g, " ").replace(/[\d.,]+/g, "0").trim().slice(0, 70)}`;
		document.addEventListener("focusin", (e) => { globalThis.reached.add(e.target); globalThis.reached.add(globalThis.saysOf(e.target)); }, true);
		document.activeElement?.blur();
	});
	// from wherever the last click was to the end, and from the beginning to the end
	for (let i = 0, ends = 0; i < 600 && ends < 2; i++) {
		await keys.press("Tab");
		const moved = await page.evaluate(() => {
			const e = document.activeElement, before = globalThis.before;
			globalThis.before = e;
			if (!e || e === document.body) return false;
			globalThis.reached.add(e);
			globalThis.reached.add(globalThis.saysOf(e));
			return e !== before;
		});
		if (!moved) ends++;
	}
	// where one stop stands for many, arrows lead to the others
	for (const [inside, members, arrows] of [[".plane", "[data-item]", ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"]]]) {
		if (!(await page.locator(inside).count())) continue;
		let todo = await page.evaluate(([i, m]) => [...globalThis.reached].filter((e) => e.matches?.(`${i} ${m}`)).map((e) => { e.dataset.kb ??= String(Math.random()); return e.dataset.kb; }), [inside, members]);
		const done = new Set();
		while (todo.length) {
			const id = todo.pop();
			if (done.has(id)) continue;
			done.add(id);
			for (const arrow of arrows) {
				await page.evaluate((k) => document.querySelector(`[data-kb="${k}"]`)?.focus(), id);
				await keys.press(arrow);
				await page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))));
				const next = await page.evaluate(([i, m]) => {
					const e = document.activeElement;
					if (!e?.matches(`${i} ${m}`)) return "";
					globalThis.reached.add(e);
					globalThis.reached.add(globalThis.saysOf(e));
					return (e.dataset.kb ??= String(Math.random()));
				}, [inside, members]);
				if (next && !done.has(next)) todo.push(next);
			}
		}
	}
}

/** Row by row through a grid. */
async function walkGrid() {
	const at = () => page.evaluate(() => document.activeElement?.getAttribute("data-at") ?? "");
	await page.locator("[role=grid] button[tabindex='0']").focus();
	for (let i = 0; i < 100; i++) {
		const before = await at();
		await keys.press("ArrowUp");
		if ((await at()) === before) break;
	}
	for (let row = 0, last = ""; row < 100; row++) {
		await keys.press("Home");
		const here = await at();
		if (here === last) break;
		last = here;
		for (let i = 0, before = here; i < 100; i++) {
			await keys.press("ArrowRight");
			const now = await at();
			if (now === before) break;
			before = now;
		}
		await keys.press("Home");
		await keys.press("ArrowDown");
	}
}

/** All that reacts to the mouse, what of it no key comes to, and the twins that are needed for it. */
function look() {
	return page.evaluate((twins) => {
		const NATIVE = "button, a[href], input, select, textarea, summary, label, option, [contenteditable]";
		const out = { wrong: [], twins: [], n: 0 };
		const modal = document.querySelector("dialog[open]");
		for (const e of document.querySelectorAll("[data-mouse]")) {
			if (modal && !modal.contains(e)) continue;
			const box = e.getBoundingClientRect();
			if (e.disabled || !e.checkVisibility() || box.width === 0) continue;
			out.n++;
			const on = e.dataset.mouse.split(" "), says = globalThis.saysOf(e);
			if (e.matches(NATIVE)) {
				if (!globalThis.reached.has(e) && !globalThis.reached.has(says) && !e.matches("label")) out.wrong.push(`${says}: no key comes to it (${on.join(", ")})`);
				if (on.some((x) => /enter|over$/.test(x)) && !e.hasAttribute("data-focuses")) out.wrong.push(`${says}: shows something to the pointer (${on.join(", ")}) that the focus does not show`);
				continue;
			}
			const twin = twins.find((w) => e.matches(w.at) && (!w.on || on.every((x) => w.on.includes(x))));
			if (twin) out.twins.push(twin.twin);
			else out.wrong.push(`${says}: for the mouse alone (${on.join(", ")})`);
		}
		return out;
	}, TWINS);
}

/** What of this state of the page is for the mouse alone; none is right. */
async function survey(what, arrange) {
	await t.check(`BR92 ${what}: the keyboard comes to all that reacts to the mouse`, async () => {
		if (arrange) await arrange();
		await mark();
		await walk();
		if (await page.locator("[role=grid]").count()) await walkGrid();
		await mark();
		const found = await look();
		for (const w of found.twins) used.set(w, what);
		assert.deepEqual([...new Set(found.wrong)], []);
		assert.ok(found.n > 0, "something reacts to the mouse");
		console.log(`# ${what}: ${found.n} things react to the mouse`);
	});
}
const twin = (name, fn) => {
	shown.add(name);
	return t.check(`BR92 ${name}: by keys as by mouse`, fn);
};
const visit = async (path) => {
	await page.goto(new URL(path, t.url).href);
	await page.locator("footer .live.live").waitFor();
	await page.locator("main [aria-busy=true]").waitFor({ state: "detached" });
};
const card = (id) => page.locator(`[data-item="${id}"]`);
const details = page.getByRole("complementary", { name: "Details" });
const menuItems = async () => (await page.getByRole("menu").getByRole("menuitem").allInnerTexts()).map((x) => x.trim());

// --- every view, and what opens in it ---------------------------------------------------------------------------------
await survey("the map", async () => {
	await card("shop/StatefulSet/store").waitFor();
	await page.getByRole("button", { name: /auditor → store/ }).first().waitFor();
	await keys.press("Space"); // what is held does not come and go while it is looked at
	await page.getByText(/held at/).waitFor();
});
await survey("a card's details", () => card("shop/Deployment/page").click());
await survey("a refused line's details, with why", async () => {
	await keys.press("Escape");
	await page.getByRole("button", { name: /auditor → store/ }).first().click();
	await details.getByRole("button", { name: "Why is it refused?" }).first().click();
	await details.getByRole("button", { name: "Allow just this call…" }).waitFor({ timeout: 20000 });
});
await survey("the map as tables", async () => {
	await visit("/map?as=table");
	await page.getByRole("row", { name: /auditor/ }).first().waitFor();
	await keys.press("Space");
	await page.getByText(/held at/).waitFor();
});
await survey("the broker", async () => {
	await visit("/broker");
	await page.getByRole("button", { name: /^Source catalogue/ }).first().waitFor();
});
for (const [what, button] of [["a new map", "New map"], ["a new tool", "+ New tool"], ["a tool", "Edit tool ids"], ["a new filter", "+ Filter"]])
	await survey(`the form of ${what}`, async () => {
		await keys.press("Escape");
		await page.getByRole("button", { name: button }).first().click();
		await page.getByRole("dialog").waitFor();
	});
await survey("the broker with a map in the draft", async () => {
	await keys.press("Escape");
	await page.getByRole("button", { name: "New map" }).click();
	const form = page.getByRole("dialog");
	await form.getByRole("combobox", { name: /^Source/ }).first().selectOption({ index: 2 });
	await form.getByRole("combobox", { name: "Tool", exact: true }).selectOption("tool:ids/default");
	await form.getByRole("button", { name: "Put into the draft" }).click();
	await page.getByRole("article", { name: /^Map / }).first().waitFor();
});
await survey("the review", async () => {
	await page.getByRole("button", { name: "Review…" }).click();
	await until("it can be applied", () => page.getByRole("dialog").getByRole("button", { name: "Apply", exact: true }).isEnabled(), 20000);
});
await survey("the broker as tables", async () => {
	await page.getByRole("dialog").getByRole("button", { name: "Back" }).click();
	await page.getByRole("button", { name: "Tables" }).click();
	await page.getByRole("row").nth(1).waitFor();
});
await survey("policies, with a cell", async () => {
	await visit("/policies");
	await page.getByRole("button", { name: "reports/auditor to shop/store:6379: refused", exact: true }).click();
	await page.getByRole("button", { name: "Allow just this call…" }).waitFor({ timeout: 20000 });
});
await survey("policies as a table", () => page.getByRole("button", { name: "Table" }).click());
await survey("flows, with one and with columns", async () => {
	await visit("/flows");
	await page.getByRole("button", { name: "Live" }).click();
	await page.locator("tbody tr").nth(3).click();
	await page.getByRole("button", { name: "Columns…" }).click();
});
await survey("captures", () => visit("/captures"));
await survey("objects", () => visit("/objects/pods"));
await survey("an object", async () => {
	await visit("/objects/networkpolicies/shop/store");
	await page.getByText("kind: NetworkPolicy").first().waitFor();
});
for (const tab of ["Overview", "Sums", "Probes", "Maps", "Machine", "Manifests"])
	await survey(`health: ${tab}`, async () => {
		if (tab === "Overview") await visit("/health");
		await page.getByRole("button", { name: tab, exact: true }).click();
		await page.locator("main [aria-busy=true]").waitFor({ state: "detached", timeout: 20000 });
	});
await survey("changes", async () => {
	await visit("/changes");
	await page.locator("main h1").waitFor();
});
await survey("the commands", async () => {
	await keys.press("Control+k");
	await page.getByRole("combobox", { name: "Command" }).waitFor();
});

// --- the twins --------------------------------------------------------------------------------------------------------
await twin("options", async () => {
	const search = page.getByRole("combobox", { name: "Command" });
	await search.fill("go to flows");
	await page.getByRole("option", { name: /Flows/ }).click();
	await page.waitForURL(/\/flows/);
	await keys.press("Control+k");
	await keys.type("go to changes");
	await keys.press("Enter");
	await page.waitForURL(/\/changes/);
});
await twin("rows", async () => {
	await visit("/objects/services");
	await visit("/map?as=table");
	await page.keyboard.press("Space");
	const rows = page.locator("tbody tr.choosable"), chosen = page.locator("tbody tr.chosen");
	await rows.nth(2).locator("td").nth(2).click();
	const byMouse = [await chosen.innerText(), await details.getByRole("heading").first().innerText()];
	await rows.nth(0).locator("td").nth(2).click();
	await page.getByRole("region", { name: "Links" }).focus();
	await keys.press("ArrowDown");
	await keys.press("ArrowDown");
	assert.deepEqual([await chosen.innerText(), await details.getByRole("heading").first().innerText()], byMouse);
});
await twin("row menus", async () => {
	const cell = page.locator("tbody tr.chosen td").nth(2);
	await cell.click({ button: "right" });
	const byMouse = await menuItems();
	await keys.press("Escape");
	await page.locator("tbody tr.chosen button").first().focus();
	await keys.press("Shift+F10");
	assert.deepEqual(await menuItems(), byMouse);
	assert.ok(byMouse.length >= 3);
	await keys.press("Escape");
});
await t.check("BR92 menus of cards and boxes: by keys as by mouse", async () => {
	await visit("/map");
	for (const id of ["shop/Deployment/page", "tool/ids", "node/node-1", "g:shop"]) {
		if (!(await card(id).count())) continue;
		await card(id).click({ button: "right" });
		const byMouse = await menuItems();
		await keys.press("Escape");
		await card(id).focus();
		await keys.press("Shift+F10");
		assert.deepEqual(await menuItems(), byMouse, id);
		await keys.press("Escape");
	}
});
await twin("cards to tools", async () => {
	const form = page.getByRole("dialog", { name: "Send packets to a tool" });
	const said = async () => (await form.locator("fieldset").first().innerText()).replace(/\s+/g, " ");
	const [a, b] = [await card("shop/Deployment/cart").boundingBox(), await card("tool/ids").boundingBox()];
	await page.mouse.move(a.x + 30, a.y + 10);
	await page.mouse.down();
	await page.mouse.move(b.x + 30, b.y + 10, { steps: 6 });
	await page.mouse.up();
	await form.waitFor();
	const byMouse = await said();
	await visit("/map");
	await card("shop/Deployment/cart").focus();
	await keys.press("c");
	await form.waitFor();
	assert.equal(await said(), byMouse);
	assert.match(byMouse, /cart/);
});
await twin("the plane", async () => {
	await visit("/map");
	await card("shop/Deployment/cart").waitFor();
	const camera = () => page.locator(".svelte-flow__viewport").evaluate((e) => { const m = new DOMMatrix(getComputedStyle(e).transform); return { zoom: m.a, x: m.e }; });
	const was = await camera();
	await page.mouse.move(400, 640);
	await page.mouse.wheel(0, -240);
	await until("the wheel comes nearer", async () => (await camera()).zoom > was.zoom);
	await keys.press("0");
	await until("everything again", async () => Math.abs((await camera()).zoom - was.zoom) < 0.01);
	await keys.press("+");
	await until("so does +", async () => (await camera()).zoom > was.zoom);
	await card("shop/Deployment/cart").focus();
	const x = (await camera()).x;
	await keys.press("Shift+ArrowRight");
	await until("Shift with arrows pans, as the pointer does", async () => (await camera()).x < x);
	// a line that the pointer can choose is one of the list, and of the details of its ends
	await keys.press("t");
	await page.getByRole("button", { name: /^Links/ }).waitFor();
	await keys.press("t");
});
await twin("carrying", async () => {
	await visit("/broker");
	const carried = page.locator("[data-testid=carried]");
	const items = await page.locator(".board button[data-item]").evaluateAll((all) => all.map((e) => e.dataset.item).filter((i) => !i.startsWith("wire ")));
	assert.ok(items.length > 8, `only ${items.length} things to carry`);
	const targets = () => page.locator(".board .target").evaluateAll((all) => all.map((e) => e.dataset.drop ?? e.dataset.item).sort());
	for (const id of items) {
		const item = page.locator(`.board button[data-item="${id.replace(/["\\]/g, "\\$&")}"]`).first();
		await item.scrollIntoViewIfNeeded();
		const b = await item.boundingBox();
		await page.mouse.move(b.x + 8, b.y + 8);
		await page.mouse.down();
		await page.mouse.move(b.x + 40, b.y + 30, { steps: 3 });
		await until(`the mouse takes up ${id}`, () => carried.count());
		const byMouse = await targets();
		await keys.press("Escape");
		await page.mouse.up();
		await carried.waitFor({ state: "detached" });
		await item.blur();
		await item.focus();
		await keys.press("c");
		if (!byMouse.length) {
			await page.getByText(/can be brought nowhere/).first().waitFor();
			continue;
		}
		await until(`c takes up ${id}`, () => carried.count());
		const byKeys = await targets();
		await keys.press("Escape");
		await carried.waitFor({ state: "detached" });
		assert.deepEqual(byKeys, byMouse, id);
	}
});
await t.check("BR92 a thing for the mouse alone would be found", async () => {
	await visit("/captures");
	await page.evaluate(() => {
		const h = document.querySelector("main h1");
		h.onclick = () => undefined;
		const b = document.createElement("button");
		b.textContent = "skipped by Tab";
		b.tabIndex = -1;
		b.onclick = () => undefined;
		h.after(b);
	});
	await mark();
	await walk();
	await mark();
	assert.deepEqual((await look()).wrong, ["h0 Captures: for the mouse alone (click)", "button skipped by Tab: no key comes to it (click)"].map((x) => x.replace("h0", "h1")));
});
await t.check("BR92 nothing that reacts to the mouse has a twin that was not shown, and no twin is idle", () => {
	for (const w of TWINS) {
		assert.ok(shown.has(w.twin), `${w.twin} is shown`);
		assert.ok(used.has(w.twin), `${w.at} is on a page`);
	}
});
await t.finish();
