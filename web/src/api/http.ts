// SPDX-License-Identifier: Apache-2.0
// Requests to the hub: JSON in and out, the token that writes need, one kind of error. Knows no view.
import { KINDS } from "./kinds.gen.ts";
import type { ApiObject, Conflict, Me, Remark } from "./wire.ts";

export class ApiError extends Error {
	readonly status: number;
	readonly reason: string;
	readonly remarks: Remark[];
	readonly conflicts: Conflict[];
	constructor(status: number, reason: string, message: string, remarks: Remark[] = [], conflicts: Conflict[] = []) {
		super(message);
		this.status = status;
		this.reason = reason;
		this.remarks = remarks;
		this.conflicts = conflicts;
	}
}

let csrf = "";

interface Failure {
	message?: string;
	reason?: string;
	error?: string;
	remarks?: Remark[];
	conflicts?: Conflict[];
}

async function failure(r: Response): Promise<ApiError> {
	const text = await r.text();
	let body: Failure = {};
	try {
		body = JSON.parse(text) as Failure;
	} catch {
		body = { message: text.trim() };
	}
	const message = body.message ?? body.error ?? (body.conflicts?.length ? body.conflicts.map((c) => c.why).join("; ") : "");
	return new ApiError(r.status, body.reason ?? "", message || `the hub answered ${r.status}`, body.remarks ?? [], body.conflicts ?? []);
}

export interface RequestOptions {
	body?: unknown;
	type?: string;
	accept?: string;
	signal?: AbortSignal;
}

/** The raw answer; throws ApiError where the hub refuses, and one with status 0 where it is away. */
export async function request(method: string, path: string, o: RequestOptions = {}): Promise<Response> {
	const headers: Record<string, string> = { Accept: o.accept ?? "application/json" };
	if (method !== "GET") headers["Weft-Csrf"] = csrf;
	const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" };
	if (o.body !== undefined) {
		headers["Content-Type"] = o.type ?? "application/json";
		init.body = typeof o.body === "string" ? o.body : JSON.stringify(o.body);
	}
	if (o.signal) init.signal = o.signal;
	let r: Response;
	try {
		r = await fetch(path, init);
	} catch (e) {
		if (e instanceof DOMException && e.name === "AbortError") throw e;
		throw new ApiError(0, "Unreachable", "the hub does not answer");
	}
	if (!r.ok) throw await failure(r);
	return r;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
	return (await request("GET", path, signal ? { signal } : {})).json() as Promise<T>;
}
export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
	return (await request("POST", path, signal ? { body, signal } : { body })).json() as Promise<T>;
}

/** Who looks, and the token of this session's writes. Throws 401 where nobody is logged in. */
export async function me(): Promise<Me> {
	const m = await get<Me>("/page/me");
	csrf = m.csrf;
	return m;
}
export async function logout(): Promise<void> {
	await request("POST", "/logout");
	location.assign("/login");
}

/** The API path of a kind by its plural, or of one object of it. */
export function pathOf(plural: string, namespace?: string, name?: string): string {
	const k = KINDS[plural];
	if (!k) throw new Error(`no kind has the plural ${plural}`);
	const root = k.group ? `/apis/${k.group}/${k.version}` : `/api/${k.version}`;
	const ns = k.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
	return `${root}${ns}/${plural}${name ? `/${encodeURIComponent(name)}` : ""}`;
}
export async function list<T extends ApiObject>(plural: string, namespace?: string): Promise<T[]> {
	return (await get<{ items: T[] }>(pathOf(plural, namespace))).items;
}
