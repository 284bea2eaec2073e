#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// A capture on the page: started by its form, watched, stopped, downloaded, and read by tshark; who did it stands in the audit log
// (BR87). By keyboard, too.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { assert, start, until } from "./lib.mjs";

const t = await start("captures", ["examples/shop"]);
await until("all pods are ready", async () => !/ 0\/1 | Pending | Init/.test(await t.weft(["get", "pods", "-A"])), 30000);
const page = await t.open("/captures?from=shop%2FDeployment%2Fcart&f=tcp");
const pane = page.getByRole("region", { name: "Packets", exact: true });
const packets = async () => Number((await page.getByTestId("counts").locator("dd").first().innerText()).replaceAll(",", ""));
const form = page.getByRole("form", { name: "Start a capture" });

await t.check("a link fills the form in, and the command that does the same in Wireshark stands below", async () => {
	assert.equal(await form.getByLabel(/^Filter/).inputValue(), "tcp");
	await form.getByText("Deployment in shop").first().waitFor();
	await form.getByText(`weft capture --name ${t.name} --from ns/shop tcp | wireshark -k -i -`).waitFor();
});
await t.check("packets are shown as they come, with place, ends and flags; what takes it is in the list of all captures", async () => {
	await form.getByRole("button", { name: "Start" }).click();
	await until("packets come", async () => (await packets()) > 20, 20000);
	await pane.getByRole("row", { name: /node-\d\/shop\/cart-\S+ (in|out) .* TCP / }).first().waitFor();
	await page.getByRole("row", { name: /^capture-\S+ read here root \(uid 0\) cart all packets, tcp/ }).waitFor();
	await t.shot(page, "captures-light");
});
await t.check("axe-core finds nothing while it runs", async () => assert.deepEqual(await t.axe(page), []));
await t.check("stopped, its file is what tshark reads, packet for packet", async () => {
	await pane.getByRole("button", { name: "Stop" }).click();
	await pane.getByText("■ over").waitFor({ timeout: 15000 });
	const [download] = await Promise.all([page.waitForEvent("download"), pane.getByRole("button", { name: /^Download/ }).click()]);
	const path = join(t.folder, "got.pcapng");
	await download.saveAs(path);
	const lines = execFileSync("tshark", ["-r", path, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.time_epoch", "-e", "tcp.port"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim().split("\n").map((l) => l.split("\t"));
	assert.equal(lines.length, await packets());
	assert.ok(lines.every(([place, , port]) => /^node-\d\/shop\/cart-/.test(place) && port), "only TCP of the cart");
	assert.ok(lines.every(([, at], i) => i === 0 || Number(at) >= Number(lines[i - 1][1])), "in order of time");
	await until("its Capture is gone or over", async () => !/Running/.test(await t.weft(["get", "captures"])));
});
await t.check("BR87 who started it and what was handed out stands below, from the audit log", async () => {
	const n = await packets();
	await page.getByRole("row", { name: new RegExp(`capture-\\S+ root \\(uid 0\\) tcp root \\(uid 0\\) ${n.toLocaleString("en")} `) }).waitFor({ timeout: 15000 });
	const log = readFileSync(`/run/weft/${t.name}/audit.log`, "utf8");
	assert.match(log, /"what":"capture-start","user":"root \(uid 0\)".*"filter":"tcp"/);
	assert.match(log, /"what":"download-end","user":"root \(uid 0\)".*"packets":\d+/);
});
await t.check("BR92 by keyboard alone: started from the palette, and stopped", async () => {
	await page.locator("body").press("Control+k");
	await page.keyboard.type("Start a capture");
	await page.keyboard.press("Enter");
	await until("packets come", async () => (await pane.getByText("● runs").count()) && (await packets()) > 0, 20000);
	await page.locator("body").press("Control+k");
	await page.keyboard.type("Stop the capture");
	await page.keyboard.press("Enter");
	await pane.getByText("■ over").waitFor({ timeout: 15000 });
});
await t.check("a filter that no packet can be asked is refused with its reason", async () => {
	await form.getByLabel(/^Filter/).fill("src.pod == x");
	await form.getByRole("button", { name: "Start" }).click();
	await pane.getByText("✕ failed").waitFor();
	assert.match(await pane.innerText(), /src\.pod/);
});
await t.check("dark and narrow, axe-core finds nothing", async () => {
	const dark = await t.open("/captures", { theme: "dark", width: 600 });
	await dark.getByRole("heading", { name: "Captures", exact: true }).waitFor();
	assert.deepEqual(await t.axe(dark), []);
	await t.shot(dark, "captures-dark");
});
await t.finish({ expected: ["422", "400"] });
