#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The broker view against real packets: a workload is dragged to a tool, and what arrives at the tool's own interface is told by
// tcpdump; the same by keyboard alone. Warnings before anything is applied: too large packets (BR59), a tool that is too small
// (BR95). Everything else that can be dragged, and its twin as a form.
import { assert, start, until } from "./lib.mjs";

const t = await start("broker", ["examples/shop", "examples/page"], { up: ["--writable"] });
await until("all pods are ready", async () => !/ 0\/1 | Pending | Init/.test(await t.weft(["get", "pods", "-A"])), 30000);
const addresses = async (workload) => {
	const list = await t.weftJson(["get", "pods", "-n", "shop"]);
	return list.items.filter((p) => p.metadata.name.startsWith(`${workload}-`)).flatMap((p) => p.status.podIPs.map((i) => i.ip));
};
const ids = (await t.podsOf("tools", "ids"));
assert.equal(ids.length, 2, "an IDS on each node");

/** What tcpdump sees at both IDS pods until fn is true of it, as one text. */
async function atTheTool(expression, fn, ms = 15000) {
	const dumps = ids.map((pod) => t.inside(pod, ["tcpdump", "-nn", "-l", "-i", "eth0", ...expression.split(" ")]));
	try {
		return await until(`packets "${expression}" at the tool`, () => fn(dumps.map((d) => d.text).join("\n")) && dumps.map((d) => d.text).join("\n"), ms);
	} finally {
		for (const d of dumps) d.kill("SIGTERM");
	}
}
const page = await t.open("/broker");
const source = (name, kind = "(Deployment|StatefulSet)") => page.getByRole("button", { name: new RegExp(`^Source ${name} ?, ${kind}`) });
const port = (tool) => page.getByRole("button", { name: new RegExp(`^Tool ${tool}, port default`) });
const map = (name) => page.getByRole("article", { name: `Map ${name}`, exact: true });
const hand = page.getByTestId("carried");
const draftBar = (n) => page.getByText(`${n} object${n === 1 ? "" : "s"}:`, { exact: false });

async function middle(locator) {
	await locator.scrollIntoViewIfNeeded();
	const b = await locator.boundingBox();
	return [b.x + b.width / 2, b.y + b.height / 2];
}
/** Carries one thing over another, and lets go there where `drop` is true. */
async function drag(from, to, { drop = true, look } = {}) {
	await page.mouse.move(...(await middle(from)));
	await page.mouse.down();
	const [x, y] = await middle(to);
	await page.mouse.move(x - 30, y, { steps: 6 });
	await page.mouse.move(x, y, { steps: 3 });
	if (look) await look();
	if (!drop) await page.keyboard.press("Escape");
	await page.mouse.up();
}
async function apply(reason) {
	await page.keyboard.press("Control+Enter");
	const d = page.getByRole("dialog", { name: "Review the change" });
	await d.getByLabel("Reason, for who reads the history").fill(reason);
	const button = d.getByRole("button", { name: "Apply", exact: true });
	await until("the review can be applied", async () => button.isEnabled(), 20000);
	await button.click();
	await d.waitFor({ state: "detached", timeout: 15000 });
}
const undoAll = async () => {
	while (await page.getByRole("button", { name: "Discard" }).count()) await page.getByRole("button", { name: "Discard" }).click();
};

await t.check("a source that is dragged to a tool says what it would carry, before it is let go", async () => {
	await drag(source("catalogue"), port("ids"), {
		look: async () => {
			await hand.getByText("catalogue to ids").waitFor();
			await hand.getByText(/ids would get .*bit\/s/).waitFor({ timeout: 20000 });
			await hand.getByText(/of its 100 Mbit\/s stay free/).waitFor();
		},
	});
	await map("catalogue-to-ids").waitFor();
	await draftBar(1).waitFor();
});
await t.check("nothing is copied before it is applied; then its packets are at the tool, as tcpdump sees them there", async () => {
	assert.doesNotMatch(await t.weft(["get", "trafficmaps"]), /catalogue-to-ids/);
	await apply("look at the catalogue");
	const own = await addresses("catalogue");
	const text = await atTheTool("tcp port 8000", (x) => own.filter((a) => x.includes(a)).length >= 2);
	assert.ok(!text.split("\n").some((l) => /IP6? /.test(l) && !own.some((a) => l.includes(a))), `only the catalogue's packets:\n${text}`);
	await until("the map is in force", async () => /catalogue-to-ids.*True/.test(await t.weft(["get", "trafficmaps"])));
});
await t.check("the wire shows a rate, and the sums add up", async () => {
	await page.getByRole("button", { name: /^Wire from map catalogue-to-ids to ids, [0-9.]+ k?bit\/s/ }).waitFor({ timeout: 15000 });
	await page.getByText(/✓ all \d+ sums add up/).waitFor({ timeout: 15000 });
});
await t.check("what reaches the tool already is said in words, and there will be one copy", async () => {
	await drag(source("all of shop", ""), port("ids"), { drop: false, look: () => hand.getByText(/\d+ % of this already reaches ids through map catalogue-to-ids; it will get one copy/).waitFor({ timeout: 20000 }) });
	assert.equal(await page.getByRole("article", { name: /Map all-of-shop/ }).count(), 0, "Escape puts it back");
});
await t.check("BR92 by keyboard alone: find, take up, choose, let go, filter, review, apply; the packets are at the tool", async () => {
	await page.locator("body").press("/");
	await page.keyboard.type("cart Deployment");
	await page.keyboard.press("Tab");
	await until("the focus is on the source", async () => /^\s*Source\s*cart\s*,\s*Deployment/.test(await page.evaluate(() => document.activeElement?.textContent ?? "")));
	await page.keyboard.press("c");
	for (let i = 0; i < 6 && !(await hand.getByText("cart to ids").count()); i++) await page.keyboard.press(i < 3 ? "ArrowRight" : "ArrowUp");
	await hand.getByText("cart to ids").waitFor();
	await page.keyboard.press("Enter");
	await map("cart-to-ids").waitFor();
	await page.getByLabel("Find a source").fill("");
	await map("cart-to-ids").getByRole("button", { name: /^Map cart-to-ids:/ }).focus();
	await until("the focus is on the new map", async () => /^Map cart-to-ids:/.test(await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "")));
	await page.keyboard.press("f");
	await page.keyboard.type("tcp && port == 7000");
	await page.keyboard.press("Enter");
	await map("cart-to-ids").getByText("tcp && port == 7000").waitFor();
	await page.keyboard.press("Control+Enter");
	const d = page.getByRole("dialog", { name: "Review the change" });
	await until("the review can be applied", async () => d.getByRole("button", { name: "Apply", exact: true }).isEnabled(), 20000);
	await d.getByRole("button", { name: "Apply", exact: true }).focus();
	await page.keyboard.press("Enter");
	await d.waitFor({ state: "detached", timeout: 15000 });
	const own = await addresses("cart");
	await atTheTool("tcp port 7000", (x) => own.some((a) => x.includes(a)));
});
await t.check("Delete takes a wire away, undo and redo bring each step back", async () => {
	const wire = page.getByRole("button", { name: /^Wire from map cart-to-ids to ids/ });
	await wire.focus();
	await page.keyboard.press("Delete");
	await map("cart-to-ids").getByText("removed").waitFor();
	await page.keyboard.press("Control+z");
	await map("cart-to-ids").getByText("removed").waitFor({ state: "detached" });
	await page.keyboard.press("Control+Shift+z");
	await map("cart-to-ids").getByText("removed").waitFor();
	await page.keyboard.press("Control+z");
});
await t.check("a filter with a name: onto a wire it is OR, onto a filter AND", async () => {
	await page.getByRole("button", { name: "+ Filter" }).click();
	await page.getByLabel("Name", { exact: true }).fill("syn");
	await page.getByLabel("Filter", { exact: true }).fill("tcp.syn");
	await page.getByRole("button", { name: "Put into the draft" }).click();
	const syn = page.getByRole("button", { name: /^Filter syn: tcp.syn/ });
	await drag(syn, page.getByRole("button", { name: /^Wire from map cart-to-ids to ids/ }));
	await map("cart-to-ids").getByRole("button", { name: "Filter syn of map cart-to-ids" }).waitFor();
	await page.keyboard.press("Control+z");
	await drag(syn, map("cart-to-ids").getByRole("button", { name: "Filter tcp && port == 7000 of map cart-to-ids" }));
	await map("cart-to-ids").getByText("tcp && port == 7000 && tcp.syn").waitFor();
	await undoAll();
});
await t.check("a source onto a map is one source more; rest onto a tool; a tool onto a tool is a group that takes its maps", async () => {
	await drag(source("store"), map("cart-to-ids"));
	await page.getByRole("button", { name: /^Wire from store to map cart-to-ids/ }).waitFor();
	await drag(page.getByRole("button", { name: "The rest: what no map took" }), port("recorder"));
	await map("rest-to-recorder").getByText("what no other map took").waitFor();
	await drag(port("recorder"), port("ids"));
	await page.getByRole("article", { name: "Group ids-and-recorder" }).waitFor();
	await page.getByRole("button", { name: /^Wire from map cart-to-ids to group ids-and-recorder/ }).waitFor();
	await undoAll();
});

async function newTool(name, fill) {
	await page.getByRole("button", { name: "+ New tool" }).click();
	const d = page.getByRole("dialog", { name: "New tool" });
	await d.getByLabel("Name", { exact: true }).fill(name);
	await fill(d);
	await d.getByRole("button", { name: "Put into the draft" }).click();
	await d.waitFor({ state: "detached" });
}
await t.check("BR59 packets that a tunnel's tool could not take are told before apply, while they are carried and in the review", async () => {
	await newTool("far", async (d) => {
		await d.getByLabel("Copies go to").selectOption("vxlan");
		await d.getByLabel("Far end").fill("192.0.2.9");
		await d.getByLabel("MTU").fill("1400");
	});
	const warning = /packets of .* have up to 1450 bytes, and 50 of tunnel headers: more than the 1400 that go to far/;
	await drag(source("page"), port("far"), { look: () => hand.getByText(warning).waitFor({ timeout: 20000 }) });
	await page.keyboard.press("Control+Enter");
	const d = page.getByRole("dialog", { name: "Review the change" });
	await d.getByText(warning).first().waitFor({ timeout: 20000 });
	assert.doesNotMatch(await t.weft(["get", "tools"]), /far/);
	await d.getByRole("button", { name: "Discard the draft" }).click();
});
await t.check("BR95 a tool that would exceed 80 % of its capacity is flagged before apply", async () => {
	await newTool("slow", async (d) => {
		await d.getByLabel("Copies go to").selectOption("discard");
		await d.getByLabel("Capacity, bit/s").fill("5k");
	});
	await drag(source("all of shop", ""), port("slow"), { look: () => hand.getByText(/slow would be too small: its busiest moment takes \d+ % of its 5.0 kbit\/s/).waitFor({ timeout: 20000 }) });
	await undoAll();
});
await t.check("the chain of a port is edited in its fixed order, and a form makes what a drag makes", async () => {
	await undoAll();
	await page.getByRole("button", { name: "Edit tool recorder" }).click();
	const d = page.getByRole("dialog", { name: "Tool recorder" });
	await d.getByRole("checkbox", { name: "Slice", exact: true }).check();
	await d.getByRole("checkbox", { name: "Sample", exact: true }).check();
	await d.getByRole("checkbox", { name: "SourceIP" }).check();
	await d.getByRole("button", { name: "Put into the draft" }).click();
	assert.deepEqual(await page.getByRole("list", { name: "Chain of port default, in its order" }).getByRole("listitem").allInnerTexts(), ["1 in 10", "mask SourceIP", "slice Payload + 0 B"]);
	await page.getByRole("button", { name: "Tables" }).click();
	await page.getByRole("group", { name: "Which table" }).getByRole("button", { name: "Sources" }).click();
	await page.getByRole("row", { name: /^store StatefulSet in shop/ }).click();
	await page.getByRole("button", { name: "Send to a tool" }).click();
	const f = page.getByRole("dialog", { name: "Send packets to a tool" });
	await f.getByRole("combobox", { name: "Tool", exact: true }).selectOption("tool:recorder/default");
	await f.getByText(/recorder would get/).waitFor({ timeout: 20000 });
	await f.getByRole("button", { name: "Put into the draft" }).click();
	await page.getByRole("group", { name: "Which table" }).getByRole("button", { name: "Maps" }).click();
	await page.getByRole("row", { name: /^store-to-recorder store everything recorder .* new in the draft/ }).waitFor();
	await undoAll();
	await page.getByRole("button", { name: "Tables" }).click();
});
await t.check("axe-core finds nothing, on the board, in its forms and in its tables", async () => {
	assert.deepEqual(await t.axe(page), []);
	await page.getByRole("button", { name: "Edit tool ids" }).click();
	assert.deepEqual(await t.axe(page), []);
	await page.getByRole("dialog").getByRole("button", { name: "Back" }).click();
	await page.getByRole("button", { name: "New map" }).click();
	assert.deepEqual(await t.axe(page), []);
	await page.getByRole("dialog").getByRole("button", { name: "Back" }).click();
	await page.getByRole("button", { name: "Tables" }).click();
	assert.deepEqual(await t.axe(page), []);
	await page.getByRole("button", { name: "Tables" }).click();
});
await t.check("in a narrow window, at 200 %, there are tables, and they do the same", async () => {
	const narrow = await t.open("/broker", { width: 1300, height: 900, zoom: 2 });
	await narrow.getByRole("heading", { name: "Broker" }).waitFor();
	assert.deepEqual(await t.axe(narrow), []);
	const phone = await t.open("/broker", { width: 600, height: 900 });
	await phone.getByRole("row", { name: /^cart-to-ids/ }).waitFor();
	assert.deepEqual(await t.axe(phone), []);
});
await t.check("in the dark it is complete, too", async () => {
	const dark = await t.open("/broker", { theme: "dark" });
	await dark.getByRole("article", { name: "Map cart-to-ids" }).waitFor();
	assert.deepEqual(await t.axe(dark), []);
	await t.shot(dark, "broker-dark");
	await t.shot(page, "broker-light");
});
await t.finish();
