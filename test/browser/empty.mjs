#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// A map on which nobody talks says so, and shows the first line by itself as soon as somebody does.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, start, until } from "./lib.mjs";

const source = mkdtempSync(join(tmpdir(), "weft-t-empty."));
const pod = (name) => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: quiet}\nspec:\n  containers:\n  - {name: c, image: example/c}\n`;
writeFileSync(join(source, "quiet.yaml"), ["apiVersion: v1\nkind: Namespace\nmetadata: {name: quiet}\n", pod("one"), pod("two")].join("---\n"));
process.on("exit", () => rmSync(source, { recursive: true, force: true }));

const t = await start("empty", [source]);
const page = await t.open("/map");

await t.check("BR94 an empty map names its reason", async () => {
	await page.getByText("Nobody talks.").waitFor();
	await page.locator('[data-item="quiet/Pod/one"]').waitFor();
	assert.deepEqual(await t.axe(page), []);
	await t.shot(page, "map-empty");
});
await t.check("the first packet is a line, and the reason goes", async () => {
	const { items } = await t.weftJson(["get", "pods", "-n", "quiet"]);
	const address = items.find((p) => p.metadata.name === "two").status.podIP;
	t.inside("quiet/one", ["python3", "-c", `import socket\nsocket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b'x',('${address}',9999))`]);
	await page.getByRole("button", { name: /one → two/ }).first().waitFor();
	await until("the reason goes", async () => !(await page.getByText("Nobody talks.").count()));
});
await t.check("a hub that hangs: the page says how old its data are, and goes on when it answers", async () => {
	const hub = readdirSync("/proc").filter((p) => /^\d+$/.test(p)).map(Number).find((p) => {
		try {
			const words = readFileSync(`/proc/${p}/cmdline`, "utf8");
			return words.includes("weft-hub") && words.includes(t.name) && !words.includes("weft-hub-pen");
		} catch {
			return false;
		}
	});
	assert.ok(hub, "the cluster's hub is found");
	process.kill(hub, "SIGSTOP");
	try {
		await page.getByText(/data are \d+ s old/).waitFor({ timeout: 20000 });
		await t.shot(page, "map-old");
	} finally {
		process.kill(hub, "SIGCONT");
	}
	await until("the data are fresh again", async () => !(await page.getByText(/data are \d+ s old/).count()), 20000);
	await page.getByText("live", { exact: true }).waitFor();
});
await t.finish();
