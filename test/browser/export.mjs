#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What the page exports is the whole configuration: given to a fresh cluster, its kernel holds what the page's apply made.
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { sameRows, start, until } from "./lib.mjs";

const t = await start("export", ["examples/shop", "examples/page"], { up: ["--writable", "--nodes", "1"] });
const ready = (c) => until("all pods are ready", async () => !/ 0\/1 | Pending | Init/.test(await c.weft(["get", "pods", "-A"])), 30000);
await ready(t);
const fresh = await t.comparable();
const page = await t.open("/policies");
const review = page.getByRole("dialog", { name: "Review the change" });
async function apply() {
	await until("the review can be applied", () => review.getByRole("button", { name: "Apply", exact: true }).isEnabled(), 20000);
	await review.getByRole("button", { name: "Apply", exact: true }).click();
	await review.waitFor({ state: "detached" });
}

await t.check("BR91 what the page exports gives a fresh cluster the loaded state that the page's apply gave", async () => {
	await page.getByRole("button", { name: "reports/auditor to shop/store:6379: refused", exact: true }).click();
	await page.getByRole("button", { name: "Allow just this call…" }).click();
	await apply();
	await page.getByRole("link", { name: "Broker" }).click();
	await page.getByRole("button", { name: "New map" }).click();
	const form = page.getByRole("dialog", { name: "Send packets to a tool" });
	await form.getByRole("combobox", { name: /^Source/ }).first().selectOption({ label: "catalogue (Deployment in shop, 2 pods)" });
	await form.getByRole("combobox", { name: "Tool", exact: true }).selectOption("tool:ids/default");
	await form.getByRole("button", { name: "Put into the draft" }).click();
	await page.getByRole("button", { name: "Review…" }).click();
	await apply();
	await page.getByRole("link", { name: "Changes" }).click();
	const folder = mkdtempSync("/tmp/weft-t-export-all.");
	const other = t.another(`${t.name}-b`);
	try {
		const waiting = page.waitForEvent("download");
		await page.getByRole("link", { name: "Export all objects" }).click();
		await (await waiting).saveAs(join(folder, "all.yaml"));
		const mine = await until("what was applied is in the kernel", async () => {
			const now = await t.comparable();
			const added = now.filter((r) => !fresh.includes(r));
			return added.some((r) => r.includes(" tap <shop/catalogue-")) && added.some((r) => r.includes(" policy ")) && now;
		}, 20000);
		await other.weft(["up", "-d", folder, "--page", "off", "--nodes", "1"]);
		await ready(other);
		await until("both kernels hold the same", async () => sameRows(await other.comparable(), mine), 20000);
	} finally {
		other.down();
		rmSync(folder, { recursive: true, force: true });
	}
});
await t.finish();
