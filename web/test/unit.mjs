// SPDX-License-Identifier: Apache-2.0
// Runs web/test/unit/*.test.ts: bundles each for node and hands it to node's own test runner, which prints TAP.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { build } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const out = mkdtempSync(join(tmpdir(), "weft-page-test-"));
let status = 1;
try {
	const tests = readdirSync(join(here, "unit")).filter((f) => f.endsWith(".test.ts"));
	await build({
		root: resolve(here, ".."),
		configFile: false,
		logLevel: "error",
		publicDir: false,
		ssr: { noExternal: true },
		plugins: [svelte()],
		build: {
			ssr: true,
			outDir: out,
			emptyOutDir: true,
			minify: false,
			rollupOptions: { input: tests.map((f) => join(here, "unit", f)), output: { entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" } },
		},
	});
	const files = tests.map((f) => join(out, f.replace(/\.ts$/, ".mjs")));
	status = spawnSync(process.execPath, ["--test", "--test-reporter=tap", ...files], { stdio: "inherit", cwd: resolve(here, "..") }).status ?? 1;
} finally {
	rmSync(out, { recursive: true, force: true });
}
process.exit(status);
