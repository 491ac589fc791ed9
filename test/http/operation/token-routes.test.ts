/** Tokens over HTTP: who may change them, what is answered once, and what happens to the file. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { SCOPES } from "../../../src/access/access-token.ts";
import { addToken } from "../../access/token-texts.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const path = join(temporaryFolder(), "tokens.json");
let gateway: TestGateway;
let admin: string;
let reader: string;
let bound: string;

beforeAll(async () => {
  admin = await addToken(path, "root", { scopes: ["admin"] });
  reader = await addToken(path, "reader", { scopes: ["read", "sql", "push", "scrape"] });
  bound = await addToken(path, "bound", { scopes: SCOPES, labels: { job: "a" } });
  gateway = await openTestGateway(`--token-file=${path}`);
});
afterAll(() => gateway.close());

const send = async (method: string, token: string | undefined, body?: unknown, name = "") => {
  const answer = await gateway.fetch(`/api/v1/tokens${name}`, {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, body: JSON.parse(text) };
};
const statusOf = async (token: string, route = "/api/v1/query?query=1") =>
  (await gateway.fetch(route, { headers: { authorization: `Bearer ${token}` } })).status;

describe("a token is created", () => {
  test("with its text in that answer only, and works at once", async () => {
    const wanted = {
      name: "ci",
      scopes: ["read"],
      labels: { job: "ci" },
      expires: "90d",
      limits: { requests: 5 },
    };
    const { status, headers, body } = await send("POST", admin, wanted);
    expect(status).toBe(201);
    expect(headers.get("cache-control")).toBe("no-store");
    const { token, ...described } = body;
    expect(token).toMatch(/^weir_[A-Za-z0-9_-]{43}$/);
    expect(described).toEqual({
      name: "ci",
      scopes: ["read"],
      labels: { job: "ci" },
      limits: { requests: 5 },
      created: new Date(NOON_MS).toISOString(),
      expires: new Date(NOON_MS + 90 * 86_400_000).toISOString(),
      isExpired: false,
      lastUsed: null,
    });
    expect(await statusOf(token)).toBe(200);
    expect(await statusOf(token, "/metrics")).toBe(403);
    const listed = await send("GET", admin);
    expect(listed.text).not.toContain(token);
    expect(readFileSync(path, "utf8")).not.toContain(token);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(gateway.takeLog().join("\n")).not.toContain(token);
    const [ci] = listed.body.tokens.filter(({ name }: { name: string }) => name === "ci");
    expect(ci).toEqual({ ...described, lastUsed: new Date(NOON_MS).toISOString() });
    expect(listed.body.changeable).toBe(true);
  });

  test("only once by a name", async () => {
    const { status, body } = await send("POST", admin, { name: "root", scopes: ["read"] });
    expect(status).toBe(409);
    expect(body.error.message).toStartWith('There is a token "root" already');
  });

  test.each<[unknown, string, string | undefined]>([
    ["{", "The body is not a JSON object", undefined],
    ["[]", "The body is not a JSON object", undefined],
    [{ scopes: ["read"] }, "name is missing; expected up to 64 letters", "name"],
    [{ name: "a b", scopes: ["read"] }, 'name is "a b"; expected up to 64 letters', "name"],
    [{ name: "a" }, "scopes is missing; expected a list of push, read", "scopes"],
    [{ name: "a", scopes: [] }, "The token has no scope", "scopes"],
    [{ name: "a", scopes: ["write"] }, 'scopes is "write"; expected a list of push, read', "scopes"],
    [{ name: "a", scopes: ["read"], label: {} }, 'The field "label" is unknown', "label"],
    [{ name: "a", scopes: ["read"], labels: { le: "1" } }, 'The token has the label "le"', "labels"],
    [{ name: "a", scopes: ["read"], labels: { a: 1 } }, "labels.a is 1; expected a text", "labels"],
    [{ name: "a", scopes: ["read"], expires: "soon" }, 'expires is "soon"; expected a duration', "expires"],
    [{ name: "a", scopes: ["read"], expires: "200y" }, 'expires is "200y"; expected a duration', "expires"],
    [{ name: "a", scopes: ["read"], limits: { requests: 0 } }, "limits.requests is 0; expected", "limits"],
    [{ name: "a", scopes: ["read"], limits: { failures: 1 } }, "limits.failures is 1; expected", "limits"],
  ])("not of %p", async (wanted, message, field) => {
    const { status, body } = await send("POST", admin, wanted);
    expect(status).toBe(400);
    expect(body.error.message).toContain(message);
    expect(body.error.field).toBe(field);
  });
});

test("a revoked token is rejected by the next request", async () => {
  const { body } = await send("POST", admin, { name: "short.lived", scopes: ["read"] });
  expect(await statusOf(body.token)).toBe(200);
  const revoked = await send("DELETE", admin, undefined, "/short.lived");
  expect(revoked).toMatchObject({ status: 200, body: { revoked: "short.lived", left: 4 } });
  expect(await statusOf(body.token)).toBe(401);
  const again = await send("DELETE", admin, undefined, "/short.lived");
  expect(again.status).toBe(404);
  expect(again.body.error.message).toStartWith('There is no token "short.lived" in ');
});

test("only the scope admin without labels may read or change tokens", async () => {
  const one = { name: "own", scopes: ["admin"] };
  for (const [token, status] of [
    [undefined, 401],
    [reader, 403],
    [bound, 403],
  ] as const) {
    expect((await send("GET", token)).status).toBe(status);
    expect((await send("POST", token, one)).status).toBe(status);
    expect((await send("DELETE", token, undefined, "/root")).status).toBe(status);
  }
  expect(readFileSync(path, "utf8")).not.toContain('"own"');
});

test("a page of another origin cannot create a token with the cookie of the gateway's page", async () => {
  const answer = await gateway.fetch("/api/v1/tokens", {
    method: "POST",
    headers: { origin: "http://evil.example", cookie: `weir_token_80=${admin}` },
    body: JSON.stringify({ name: "evil", scopes: ["admin"] }),
  });
  expect(answer.status).toBe(403);
  expect(readFileSync(path, "utf8")).not.toContain("evil");
});

test("a file that cannot be changed is said, and its tokens stay", async () => {
  // The name is as long as a file's can be, so that the new version beside it cannot be written.
  const fixed = join(temporaryFolder(), `${"t".repeat(247)}.json`);
  const token = await addTokenTo(fixed);
  const other = await openTestGateway(`--token-file=${fixed}`);
  try {
    const answer = await other.fetch("/api/v1/tokens", {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ name: "ci", scopes: ["read"] }),
    });
    expect(answer.status).toBe(409);
    expect((await answer.json()) as object).toMatchObject({
      error: { code: "conflict", message: expect.stringContaining("cannot be changed: ") },
    });
    const list = await other.fetch("/api/v1/tokens", { headers: { authorization: `Bearer ${token}` } });
    expect(((await list.json()) as { tokens: object[] }).tokens).toHaveLength(1);
  } finally {
    await other.close();
  }

  /** A file whose name leaves no room is made under a short one. */
  async function addTokenTo(file: string): Promise<string> {
    const short = join(temporaryFolder(), "tokens.json");
    const text = await addToken(short, "root", { scopes: ["admin"] });
    await Bun.write(file, readFileSync(short));
    return text;
  }
});
