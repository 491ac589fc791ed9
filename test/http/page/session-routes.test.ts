/** The sign-in of the page: what its cookie allows, and whose it is. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { weir } from "../../commands/weir.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const data = join(temporaryFolder(), "data");
let gateway: GatewayProcess;
let token: string;
beforeAll(async () => {
  const args = ["--name", "me", "--scope", "read,sql", "--label", "site=a"];
  token = (await weir(["token", "create", "--data", data, ...args])).out.trim();
  gateway = await GatewayProcess.start({ data, args: ["--no-sampler"] });
});
afterAll(() => gateway.stop("SIGTERM"));

const session = (init: RequestInit = {}) => fetch(`${gateway.url}/api/v1/session`, init);
const signIn = (text: unknown, headers: Record<string, string> = {}) =>
  session({ method: "POST", headers, body: JSON.stringify({ token: text }) });
const NOBODY = { open: false, name: null, scopes: [], labels: {}, expires: null };
const ME = { open: false, name: "me", scopes: ["read", "sql"], labels: { site: "a" }, expires: null };

test("a token becomes a cookie that no script and no other page can use", async () => {
  const answer = await signIn(token);
  expect([answer.status, await answer.json()]).toEqual([200, ME]);
  const { port } = new URL(gateway.url);
  expect(answer.headers.get("set-cookie")).toBe(
    `weir_token_${port}=${token}; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict`,
  );
});

test("a body that is too large gets an error with the limit of the route, which no setting changes", async () => {
  const answer = await session({ method: "POST", body: " ".repeat(5_000) });
  expect([answer.status, await answer.json()]).toEqual([
    413,
    {
      error: {
        code: expect.any(String),
        message: "The body may have 4096 bytes (the limit of this route) and has 5000.",
      },
    },
  ]);
  const inflated = await session({
    method: "POST",
    headers: { "content-encoding": "gzip" },
    body: Bun.gzipSync(new Uint8Array(5_000)),
  });
  expect([inflated.status, await inflated.json()]).toEqual([
    413,
    {
      error: {
        code: expect.any(String),
        message: "The body inflates past the limit of 4096 bytes (the limit of this route).",
      },
    },
  ]);
});

test("the cookie allows what its token allows, and a header goes before it", async () => {
  const { port } = new URL(gateway.url);
  const cookie = `other=1; weir_token_${port}=${token}`;
  const status = async (path: string, headers: Record<string, string>, method = "GET") =>
    (await fetch(gateway.url + path, { method, headers })).status;
  expect(await (await session({ headers: { cookie } })).json()).toEqual(ME);
  expect(await status("/api/v1/query?query=1", { cookie })).toBe(200);
  expect(await status("/api/v1/push", { cookie }, "POST")).toBe(403);
  expect(await status("/api/v1/query?query=1", { cookie, authorization: "Bearer wrong" })).toBe(401);
  // That of a gateway at another port of this machine.
  expect(await status("/api/v1/query?query=1", { cookie: `weir_token_1=${token}` })).toBe(401);
});

test("a page of another origin can neither use the cookie nor sign in", async () => {
  const { port } = new URL(gateway.url);
  const cookie = `weir_token_${port}=${token}`;
  const foreign = { origin: "http://evil.example", cookie };
  expect((await fetch(`${gateway.url}/api/v1/query?query=1`, { headers: foreign })).status).toBe(403);
  expect((await signIn(token, foreign)).status).toBe(403);
  const load = {
    cookie,
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "no-cors",
    "sec-fetch-dest": "image",
  };
  expect((await fetch(`${gateway.url}/api/v1/query?query=1`, { headers: load })).status).toBe(403);
});

test("without a token nobody is signed in, and a sign-out removes the cookie", async () => {
  expect(await (await session()).json()).toEqual(NOBODY);
  const answer = await session({ method: "DELETE" });
  expect([answer.status, answer.headers.get("set-cookie")]).toEqual([
    204,
    expect.stringMatching(/^weir_token_\d+=; Path=\/; Max-Age=0; HttpOnly; SameSite=Strict$/),
  ]);
});

test("rejects what is no token, and does not repeat it", async () => {
  for (const wrong of ["weir_wrong", token.slice(0, -1)]) {
    const answer = await signIn(wrong);
    expect([answer.status, answer.headers.get("set-cookie")]).toEqual([401, null]);
    expect(await answer.text()).not.toContain(wrong);
  }
  for (const wrong of ["a; Domain=example.com", "a b", "", 7, null, "x".repeat(2_000)]) {
    const answer = await signIn(wrong);
    expect(answer.status).toBe(400);
    if (typeof wrong === "string" && wrong !== "") expect(await answer.text()).not.toContain(wrong);
  }
  expect((await session({ method: "POST", body: "token" })).status).toBe(400);
});
