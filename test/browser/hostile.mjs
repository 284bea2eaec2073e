#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Text that others choose stays text on the page: annotations, names of steps, reasons, names of files, remarks, names that pods ask
// the DNS for. Each is an attack here, and each is shown as it is written.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, start, until } from "./lib.mjs";

const evil = (where) => `<img src=x onerror="globalThis.pwned='${where}'"><script>globalThis.pwned='${where}'</script>`;
const folder = mkdtempSync(join(tmpdir(), "weft-t-hostile."));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const FILE = "<img src=x onerror=globalThis.pwned='file'>.yaml";
writeFileSync(join(folder, FILE), `apiVersion: v1
kind: Namespace
metadata: {name: bad}
---
apiVersion: v1
kind: Pod
metadata:
  name: caller
  namespace: bad
  annotations: {note: ${JSON.stringify(evil("annotation"))}}
spec:
  containers:
  - {name: c, image: ${JSON.stringify(evil("image"))}}
---
apiVersion: v1
kind: Pod
metadata: {name: called, namespace: bad, labels: {app: called}}
spec:
  containers:
  - {name: c, image: example/c, ports: [{containerPort: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: none, namespace: bad}
spec: {podSelector: {matchLabels: {app: called}}}
`);
const t = await start("hostile", [folder], { up: ["--writable"] });
const page = await t.open("/map");
let alerts = 0;
page.on("dialog", (d) => (alerts++, void d.dismiss()));

/** Nothing ran, and nothing that was text became an element. */
async function harmless(where) {
	assert.equal(await page.evaluate(() => globalThis.pwned), undefined, where);
	assert.equal(await page.locator("img[src=x], script:not([src])").count(), 0, where);
	assert.equal(alerts, 0);
}
const visit = async (path) => {
	await page.goto(new URL(path, t.url).href);
	await page.locator("footer .live.live").waitFor();
	await page.locator("main [aria-busy=true]").waitFor({ state: "detached" });
};

await t.check("an annotation and an image are text in the object's YAML", async () => {
	await visit("/objects/pods/bad/caller");
	await page.getByText("globalThis.pwned='annotation'").first().waitFor();
	await page.getByText("globalThis.pwned='image'").first().waitFor();
	await harmless("objects");
});
await t.check("a remark about a value is text", async () => {
	writeFileSync(join(t.folder, "wrong.yaml"), `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: wrong, namespace: bad}
spec:
  podSelector: {}
  policyTypes: [${JSON.stringify(evil("remark"))}]
`);
	await visit("/health");
	await page.getByRole("button", { name: "Manifests" }).click();
	await page.locator("main [aria-busy=true]").waitFor({ state: "detached" });
	await page.getByText("globalThis.pwned='remark'").first().waitFor();
	await harmless("remarks");
});
await t.check("the name of a file is text, where it says what refuses a call, and in a review", async () => {
	const { items } = await t.weftJson(["get", "pods", "-n", "bad"]);
	const address = items.find((p) => p.metadata.name === "called").status.podIP;
	const sender = setInterval(() => t.inside("bad/caller", ["python3", "-c", `import socket\nsocket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b'x',('${address}',80))`]), 700);
	try {
		await visit("/map");
		await page.getByRole("button", { name: /caller → called/ }).first().click({ timeout: 15000 });
		await page.getByRole("button", { name: "Why is it refused?" }).first().click();
		await page.getByText("onerror=globalThis.pwned='file'").first().waitFor({ timeout: 20000 });
	} finally {
		clearInterval(sender);
	}
	await harmless("why");
});
await t.check("the name and the reason of a step are text, in the review, its notice, the history and the undo", async () => {
	await page.getByRole("button", { name: "Allow just this call…" }).click();
	const review = page.getByRole("dialog", { name: "Review the change" });
	await review.getByLabel("Name of this step").fill(evil("step").slice(0, 120));
	await review.getByLabel("Reason, for who reads the history").fill(evil("reason"));
	await until("it can be applied", () => review.getByRole("button", { name: "Apply", exact: true }).isEnabled(), 20000);
	await review.getByRole("button", { name: "Apply", exact: true }).click();
	await review.waitFor({ state: "detached" });
	await page.getByText("globalThis.pwned='step'").first().waitFor();
	await harmless("notice");
	await visit("/changes");
	await page.getByText("globalThis.pwned='reason'").first().waitFor();
	await page.getByRole("button", { name: /globalThis.pwned='step'/ }).first().click();
	await page.getByRole("complementary").getByText("kind: NetworkPolicy").first().waitFor();
	await harmless("changes");
	await page.getByRole("button", { name: /^Undo/ }).first().click();
	await page.getByRole("dialog").waitFor();
	await harmless("undo");
	await page.getByRole("dialog").getByRole("button", { name: "Back" }).click();
});
await t.check("what a pod asks the DNS for is text, in flows and on the map", async () => {
	const dns = (await t.weftJson(["get", "pods", "-n", "kube-system"])).items[0].status.podIP;
	const asker = t.inside("bad/caller", ["python3", "-c", `
import socket, struct, time
label = b"<img src=x onerror=globalThis.pwned=1>"
for _ in range(5):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(struct.pack(">6H", 7, 256, 1, 0, 0, 0) + bytes([len(label)]) + label + b"\\x04evil\\x00" + struct.pack(">2H", 1, 1), ("${dns}", 53))
    time.sleep(0.3)
`]);
	await until("it asked", () => asker.exitCode !== null);
	assert.equal(asker.exitCode, 0, asker.text);
	for (const view of ["/flows", "/map", "/map?as=table"]) {
		await visit(view);
		await page.getByText("caller").first().waitFor();
		await harmless(view);
	}
});
await t.check("a filter in the address bar is text, also where it is wrong", async () => {
	for (const view of ["/flows", "/map"]) {
		await page.goto(`${t.url}${view}?f=${encodeURIComponent(evil("filter"))}`);
		await page.getByRole("alert").first().waitFor();
		await harmless(view);
	}
	await page.goto(`${t.url}/objects/pods/${encodeURIComponent(evil("path"))}`);
	await harmless("path");
});
await t.finish({ expected: ["status of 4"] });
