// SPDX-License-Identifier: Apache-2.0
// A stranger's program: the JavaScript client of Kubernetes against a hub, through the kubeconfig that the hub wrote. It
// prints TAP. "do WORD" asks the shell for something; a line on stdin says that it was done.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { PassThrough, Writable } from "node:stream";
import { pathToFileURL } from "node:url";

const [, , config, modules] = process.argv;
const resolve = createRequire(pathToFileURL(modules + "/package.json"));
const k8s = await import(pathToFileURL(resolve.resolve("@kubernetes/client-node")));

let count = 0;
let failed = false;
function ok(good, what) {
  count++;
  failed ||= !good;
  console.log(`${good ? "ok" : "not ok"} ${count} - client-node: ${what}`);
  return good;
}
async function until(what, good) {
  const end = Date.now() + 30000;
  while (!(await good()) && Date.now() < end) await new Promise((r) => setTimeout(r, 20));
  ok(await good(), what);
}
async function refused(what, code, promise) {
  try {
    await promise;
    ok(false, `${what} is refused`);
  } catch (e) {
    const status = typeof e.body === "string" ? JSON.parse(e.body) : e.body;
    ok(e.code === code && status?.kind === "Status" && status.code === code, `${what}: ${e.code} ${status?.message}`);
    return status;
  }
}
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function shell(word) {
  console.log(`do ${word}`);
  await answers.next();
}

const kc = new k8s.KubeConfig();
kc.loadFromFile(config);
const core = kc.makeApiClient(k8s.CoreV1Api);
const apps = kc.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(kc);
const namespace = "javascript";
const typed = (type) => k8s.setHeaderOptions("Content-Type", type);

await core.createNamespace({ body: { metadata: { name: namespace } } });
const seen = { add: [], update: [], delete: [], error: 0 };
const watched = k8s.makeInformer(kc, `/api/v1/namespaces/${namespace}/configmaps`, () => core.listNamespacedConfigMap({ namespace }));
for (const verb of ["add", "update", "delete"]) watched.on(verb, (o) => seen[verb].push(o.metadata.name));
let stopping = false;
watched.on("error", () => {
  seen.error++;
  if (!stopping) setTimeout(() => watched.start().catch(() => {}), 200);
});
await watched.start();

const made = await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "one", labels: { a: "b" } }, data: { a: "1" } } });
ok(made.metadata.uid && made.metadata.creationTimestamp instanceof Date, "create");
const read = await core.readNamespacedConfigMap({ namespace, name: "one" });
ok(read.data.a === "1" && read.metadata.resourceVersion === made.metadata.resourceVersion, "read");
read.data.a = "2";
const put = await core.replaceNamespacedConfigMap({ namespace, name: "one", body: read });
ok(put.data.a === "2", "replace");
await refused("replace of an old version", 409, core.replaceNamespacedConfigMap({ namespace, name: "one", body: read }));
const merged = await core.patchNamespacedConfigMap({ namespace, name: "one", body: { data: { b: "3" } } }, typed(k8s.PatchStrategy.MergePatch));
ok(merged.data.a === "2" && merged.data.b === "3", "merge patch");
const jsonPatched = await core.patchNamespacedConfigMap(
  { namespace, name: "one", body: [{ op: "replace", path: "/data/a", value: "4" }] }, typed(k8s.PatchStrategy.JsonPatch));
ok(jsonPatched.data.a === "4", "JSON patch");
const applied = await core.patchNamespacedConfigMap(
  { namespace, name: "two", fieldManager: "stranger", body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "two" }, data: { c: "d" } } },
  typed(k8s.PatchStrategy.ServerSideApply));
ok(applied.metadata.managedFields?.[0].manager === "stranger" && applied.metadata.managedFields[0].operation === "Apply", "server-side apply");
const deployment = await apps.createNamespacedDeployment({
  namespace,
  body: { metadata: { name: "web" }, spec: { replicas: 0, selector: { matchLabels: { app: "web" } }, template: {
    metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "i" }] } } } },
});
ok(deployment.spec.template.spec.containers[0].image === "i", "create a Deployment");
const scaled = await apps.patchNamespacedDeploymentScale({ namespace, name: "web", body: { spec: { replicas: 2 } } }, typed(k8s.PatchStrategy.MergePatch));
ok(scaled.kind === "Scale" && scaled.spec.replicas === 2, "scale");
const list = await apps.listNamespacedDeployment({ namespace, labelSelector: "!nothing" });
ok(list.items.length === 1 && list.items[0].spec.replicas === 2, "list by selector");
const any = await objects.read({ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "none", namespace } }).catch((e) => e.code);
ok(any === 404, "objects by kind, through discovery");
const why = await refused("a Service with a bad port", 422,
  core.createNamespacedService({ namespace, body: { metadata: { name: "bad" }, spec: { ports: [{ port: 70000 }] } } }));
ok(why?.details?.causes?.[0]?.field === "spec.ports[0].port", "names the field");
await refused("a ConfigMap that is not there", 404, core.readNamespacedConfigMap({ namespace, name: "none" }));
const version = await kc.makeApiClient(k8s.VersionApi).getCode();
ok(/^v1\.\d+/.test(version.gitVersion), "version");

await until("the informer is told what was made", () => seen.add.includes("one") && seen.add.includes("two"));
await until("and what changed", () => seen.update.filter((n) => n === "one").length >= 3);
await core.deleteNamespacedConfigMap({ namespace, name: "two" });
await until("and what was deleted", () => seen.delete.includes("two"));

// exec over WebSocket: both outputs, input, the exit code, a terminal
await shell("pod");
const text = (chunks) => new Writable({ write(c, _, done) { chunks.push(c.toString()); done(); } });
async function run(command, stdin, tty) {
  const out = [], err = [];
  const status = await new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error("no end in 30 s")), 30000);
    new k8s.Exec(kc).exec(namespace, "pod", "c", command, text(out), tty ? null : text(err), stdin, tty, (s) => {
      clearTimeout(timer);
      done(s);
    }).catch(fail);
  }).catch((e) => ({ status: "none", message: String(e) }));
  return { out: out.join(""), err: err.join(""), status };
}
let r = await run(["sh", "-c", "echo out; echo err >&2; exit 3"], null, false);
await until("exec: output and errors come apart", () => r.out === "out\n" && r.err === "err\n");
ok(r.status.status === "Failure" && r.status.details?.causes?.[0]?.message === "3", "exec: the exit code");
const input = new PassThrough();
input.write("typed\n");
r = await run(["head", "-n", "1"], input, false);
ok(r.out === "typed\n" && r.status.status === "Success", "exec: input");
r = await run(["sh", "-c", "test -t 1 && echo terminal"], new PassThrough(), true);
ok(r.out.trim() === "terminal", "exec: a terminal");
r = await run(["x".repeat(10)], null, false);
ok(r.status.status !== "Success", "exec: a program that is not there");
const log = await core.readNamespacedPodLog({ namespace, name: "pod", container: "c" });
ok(String(log).includes("a line of the log"), "logs");

// The hub restarts: the informer starts again, lists and watches on.
await shell("restart");
await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "three" } } });
await until("after kill -9 of the hub the informer is told on", () => seen.add.includes("three"));
await until("and holds what the hub has", async () => {
  const now = await core.listNamespacedConfigMap({ namespace });
  return now.items.length === watched.list(namespace).length && now.items.every((o) => watched.get(o.metadata.name, namespace)?.metadata.resourceVersion === o.metadata.resourceVersion);
});
ok(seen.error > 0, "its watch had broken off");
stopping = true;
await watched.stop();
await core.deleteCollectionNamespacedConfigMap({ namespace });
ok((await core.listNamespacedConfigMap({ namespace })).items.length === 0, "delete of the collection");
console.log(`count ${count}`);
process.exit(failed ? 1 : 0);
