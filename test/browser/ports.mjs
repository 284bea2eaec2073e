#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The page of a broker host: the machine's interfaces as a picture of ports. A port is dragged to another, by mouse, by two clicks
// and by keyboard alone; what is sent into the first is at the second's far end, as tcpdump sees it there, and nothing else. Files
// keep their comments; undo; who may only look changes nothing; the hub that is killed takes no copy with it, and the page comes back.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { assert, startHost, until } from "./lib.mjs";

const t = await startHost("ports", ["eth1:gen1", "eth2:end2", "eth3:end3", "eth10:end10"], {
	"maps.yaml": "# What goes where on this machine.\napiVersion: weft.network/v1alpha1\nkind: Tool\nmetadata: {name: ids}   # the big one\nspec: {interface: {name: eth2}, capacity: 10G}\n",
}, { users: { ana: "view" } });
const page = await t.open("/");
const port = (name) => page.getByRole("button", { name: new RegExp(`^Port ${name},`) });
const map = (name) => page.getByRole("article", { name: `Map ${name}`, exact: true });
const hand = page.getByTestId("carried");
const manifest = () => readFileSync(`${t.folder}/maps.yaml`, "utf8");

async function middle(locator) {
	await locator.scrollIntoViewIfNeeded();
	const b = await locator.boundingBox();
	return [b.x + b.width / 2, b.y + b.height / 2];
}
async function apply(reason) {
	await page.keyboard.press("Control+Enter");
	const d = page.getByRole("dialog", { name: "Review the change" });
	await d.getByText("a host keeps no records of flows", { exact: false }).waitFor();
	await d.getByLabel("Reason, for who reads the history").fill(reason);
	const button = d.getByRole("button", { name: "Apply", exact: true });
	await until("the review can be applied", async () => button.isEnabled(), 20000);
	await button.click();
	await d.waitFor({ state: "detached", timeout: 15000 });
}
/** Sends numbered frames into gen1 until `end` has heard some, and says what it heard: of those, and of anything else. */
async function arrives(end, udp, ms = 20000) {
	const ear = t.inside(["tcpdump", "-nn", "-l", "-Q", "in", "-i", end, "udp"]);
	await until("tcpdump listens", () => /listening on/.test(ear.text));
	try {
		return await until(`packets at ${end}`, async () => {
			t.send("gen1", udp, 20);
			return (ear.text.match(new RegExp(`\\.${udp}: UDP`, "g")) ?? []).length >= 20 && ear.text;
		}, ms);
	} finally {
		ear.kill("SIGTERM");
	}
}

await t.check("the page begins with the ports, in the order in which people count, each with its link, speed and role", async () => {
	await port("eth10").waitFor();
	const names = await page.locator("[aria-label^='Ports of'] .name").allTextContents();
	assert.deepEqual(names.filter((n) => n.startsWith("eth")), ["eth1", "eth2", "eth3", "eth10"]);
	await page.getByRole("button", { name: /^Port eth2, link up, 10 Gbit\/s, tool,/ }).waitFor();
	await page.getByRole("button", { name: /^Port eth1, link up, 10 Gbit\/s, in no map,/ }).waitFor();
	assert.deepEqual(await page.getByRole("navigation").locator("a[href]").allTextContents().then((l) => l.map((x) => x.trim()).filter((x) => x !== "Weft")), ["Broker", "Objects", "Health", "Changes"]);
});
await t.check("what is about pods says that there are none", async () => {
	const other = await t.open("/map");
	await other.getByText("This is a host without a cluster").waitFor();
	await other.close();
});
await t.check("a link that goes down shows it within seconds, by shape and word", async () => {
	t.netns(["ip", "link", "set", "end3", "down"], t.far);
	await page.getByRole("button", { name: /^Port eth3, no carrier,/ }).waitFor();
	t.netns(["ip", "link", "set", "eth3", "down"]);
	await page.getByRole("button", { name: /^Port eth3, down,/ }).waitFor();
	t.netns(["ip", "link", "set", "eth3", "up"]);
	t.netns(["ip", "link", "set", "end3", "up"], t.far);
	await page.getByRole("button", { name: /^Port eth3, link up,/ }).waitFor();
});
await t.check("a port that is dragged to a port says what is seen there now; let go, it is a map in the draft, and nothing is copied", async () => {
	await page.mouse.move(...(await middle(port("eth1"))));
	await page.mouse.down();
	const [x, y] = await middle(port("eth2"));
	await page.mouse.move(x - 20, y, { steps: 5 });
	await page.mouse.move(x, y, { steps: 3 });
	await hand.getByText("eth1 to eth2").waitFor();
	await page.getByTestId("seen-now").getByText(/eth1 sees .*bit\/s now/).waitFor();
	await page.mouse.up();
	await map("eth1-to-ids").waitFor();
	assert.doesNotMatch(manifest(), /eth1/);
});
await t.check("applied, what is sent into eth1 is at the far end of eth2, every frame once, and nothing else is", async () => {
	await apply("look at the mirror port");
	assert.match(manifest(), /^# What goes where on this machine\.\n[^]*# the big one\n[^]*eth1/);
	const heard = await arrives("end2", 9201);
	const ids = [...heard.matchAll(/\.9201: UDP/g)].length;
	assert.equal(ids % 20, 0, heard);
	assert.doesNotMatch(heard.replace(/.*\.9201: UDP.*\n?/g, ""), /UDP/);
});
await t.check("roles follow, wires have rates on both sides of the map, the sums add up", async () => {
	await page.getByRole("button", { name: /^Port eth1,.* in, in / }).waitFor();
	const traffic = setInterval(() => t.send("gen1", 9201, 50), 300);
	try {
		await page.getByRole("button", { name: /^Wire from eth1 to map eth1-to-ids, [0-9.]+ [kM]?bit\/s/ }).waitFor({ timeout: 20000 });
		await page.getByRole("button", { name: /^Wire from map eth1-to-ids to ids, [0-9.]+ [kM]?bit\/s/ }).waitFor();
		await page.getByRole("button", { name: /^Port eth2, link up, 10 Gbit\/s, tool, in .* out [1-9]/ }).waitFor();
		await page.getByText(/✓ all \d+ sums add up/).waitFor();
		assert.deepEqual(await t.axe(page), []);
		await t.shot(page, "ports-light");
		const dark = await t.open("/broker", { theme: "dark" });
		await dark.getByRole("button", { name: /^Port eth1,/ }).waitFor();
		await dark.getByRole("button", { name: /^Wire from eth1 to map eth1-to-ids, [0-9.]+ [kM]?bit\/s/ }).waitFor({ timeout: 20000 });
		assert.deepEqual(await t.axe(dark), []);
		await t.shot(dark, "ports-dark");
		await dark.close();
	} finally {
		clearInterval(traffic);
	}
});
await t.check("by keyboard alone: a port, c, arrows, Enter; a Tool is made for the interface; the frames are there", async () => {
	await port("eth1").focus();
	await page.keyboard.press("c");
	for (let i = 0; i < 8 && !(await hand.getByText("eth1 to eth10").count()); i++) await page.keyboard.press("ArrowRight");
	await hand.getByText("eth1 to eth10").waitFor();
	await page.keyboard.press("Enter");
	await map("eth1-to-eth10").waitFor();
	await page.getByText("2 objects:", { exact: false }).waitFor();
	await page.keyboard.press("Control+Enter");
	const d = page.getByRole("dialog", { name: "Review the change" });
	await until("the review can be applied", async () => d.getByRole("button", { name: "Apply", exact: true }).isEnabled(), 20000);
	await d.getByRole("button", { name: "Apply", exact: true }).focus();
	await page.keyboard.press("Enter");
	await d.waitFor({ state: "detached", timeout: 15000 });
	await arrives("end10", 9202);
});
await t.check("a click on a port and a click on another are the same; Escape and a click beside them put it back", async () => {
	await port("eth1").click();
	await hand.waitFor();
	await page.keyboard.press("Escape");
	await hand.waitFor({ state: "detached" });
	await port("eth1").click();
	await page.getByRole("heading", { name: "Maps" }).click();
	await hand.waitFor({ state: "detached" });
	await port("eth1").click();
	await hand.waitFor();
	await port("eth3").click();
	await map("eth1-to-eth3").waitFor();
	await page.keyboard.press("Control+z");
	await map("eth1-to-eth3").waitFor({ state: "detached" });
});
await t.check("the menu makes a feed, which the host does not see; the role says so", async () => {
	await port("eth1").click({ button: "right" });
	await page.getByRole("menuitem", { name: /^Use as feed/ }).click();
	await apply("it is a mirror port");
	assert.match(manifest(), /feed: true/);
	await page.getByRole("button", { name: /^Port eth1,.* feed, in / }).waitFor({ timeout: 15000 });
	await arrives("end2", 9203);
	await page.getByRole("button", { name: "What can be done with port lo" }).click();
	assert.ok(await page.getByRole("menuitem", { name: /^Use as feed/ }).isDisabled(), "an address of the host, and no map");
	await page.keyboard.press("Escape");
});
await t.check("the table says the same and does the same", async () => {
	await page.locator("body").press("t");
	await page.getByRole("button", { name: "Ports", exact: true }).click();
	const row = page.getByRole("row").filter({ hasText: "eth3" });
	await row.getByText("link up").waitFor();
	await row.click();
	await page.getByRole("button", { name: "Send to a port" }).click();
	const d = page.getByRole("dialog", { name: "Send what eth3 sees to another port" });
	await d.getByLabel("Copies leave by").selectOption("eth2");
	assert.deepEqual(await t.axe(page), []);
	await d.getByRole("button", { name: "Into the draft" }).click();
	await page.getByText("1 object:", { exact: false }).waitFor();
	await page.getByRole("button", { name: "Discard" }).click();
	await page.locator("body").press("t");
});
await t.check("kill -9 of the hub: the copies go on meanwhile, and the page comes back by itself and works", async () => {
	const before = t.hub();
	process.kill(before, "SIGSTOP"); // it serves nothing: what arrives now does not need it
	try {
		await arrives("end2", 9204);
	} finally {
		process.kill(before, "SIGKILL");
	}
	await arrives("end2", 9205);
	await until("another hub is there", () => t.hub() && t.hub() !== before);
	await page.locator("footer .live.live").waitFor({ timeout: 20000 });
	await page.getByRole("button", { name: /^Port eth1,.* feed, in / }).waitFor();
});
await t.check("a file with an error changes nothing, and the page says so; mended, it is in force", async () => {
	const good = manifest();
	writeFileSync(`${t.folder}/maps.yaml`, good.replace("{name: eth2}", "{nam: eth2}"));
	await page.getByText("The files have an error").waitFor();
	await arrives("end2", 9206);
	writeFileSync(`${t.folder}/maps.yaml`, good);
	await page.getByText("The files have an error").waitFor({ state: "detached" });
});
await t.check("undo of the steps brings the file back to the byte, and the copies stop", async () => {
	const first = "# What goes where on this machine.\napiVersion: weft.network/v1alpha1\nkind: Tool\nmetadata: {name: ids}   # the big one\nspec: {interface: {name: eth2}, capacity: 10G}\n";
	const list = JSON.parse(execFileSync(t.program, ["changes", "--name", t.name, "-o", "json"], { encoding: "utf8" }));
	for (const c of (list.changes ?? list.items ?? list).filter((x) => x.origin === "page")) execFileSync(t.program, ["undo", c.id, "--name", t.name, "--reason", "back"], { stdio: "pipe" });
	assert.equal(manifest(), first);
	await page.getByRole("button", { name: /^Port eth1,.* in no map, in / }).waitFor({ timeout: 15000 });
});
await t.check("who may only look sees the ports, and changes nothing", async () => {
	const hers = await t.open("/broker", { user: "ana" });
	const at = (name) => hers.getByRole("button", { name: new RegExp(`^Port ${name},`) });
	await at("eth1").waitFor();
	await at("eth1").click();
	assert.equal(await hers.getByTestId("carried").count(), 0);
	await hers.mouse.move(...(await middle(at("eth1"))));
	await hers.mouse.down();
	await hers.mouse.move(...(await middle(at("eth2"))), { steps: 5 });
	await hers.mouse.up();
	assert.equal(await hers.getByText("Draft", { exact: true }).count(), 0);
	const status = await hers.evaluate(async () => {
		const me = await (await fetch("/page/me")).json();
		return (await fetch("/page/changes", { method: "POST", headers: { "Weft-Csrf": me.csrf, "Content-Type": "application/json" }, body: JSON.stringify({ name: "x", reason: "", edits: [] }) })).status;
	});
	assert.equal(status, 403);
	await hers.close();
});
await t.finish({ expected: ["403", "ERR_", "Failed to fetch", "net::"] });
