/** Who is admitted: changes of the token file, expiry, and what the log and the answers say. */
import { describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Access } from "../../src/access/access.ts";
import type { TokenScope } from "../../src/access/access-token.ts";
import { readTokenUses, TokenUses } from "../../src/access/token-uses.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { addToken, removeToken } from "./token-texts.ts";

const NOW_MS = Date.UTC(2024, 9, 4, 12);

function open(options: { mayBeOpen?: boolean; adminToken?: string } = {}, folder = temporaryFolder()) {
  const path = join(folder, "tokens.json");
  const usesPath = join(folder, "token-uses.json");
  const clock = { elapsedMs: 0, nowMs: NOW_MS };
  const logged: string[] = [];
  const start = () =>
    new Access({
      path,
      usesPath,
      mayBeOpen: true,
      now: () => clock.nowMs,
      elapsedMs: () => clock.elapsedMs,
      log: (event, fields) => void logged.push(`${event} ${JSON.stringify(fields ?? {})}`),
      ...options,
    });
  return { path, usesPath, clock, logged, start, folder };
}

/** `admitted`, or the status and the message of the error. */
function ask(access: Access, token: string | undefined, permission: TokenScope = "push"): string {
  const headers = new Headers(token === undefined ? {} : { authorization: `Bearer ${token}` });
  try {
    return access.admit({ headers, url: "/x" }, { permission }, () => "admitted");
  } catch (error) {
    const { status, message } = error as { status: number; message: string };
    return `${status} ${message}`;
  }
}

const NO_TOKEN =
  '401 This route needs a token with the scope push: send the header "Authorization: Bearer TOKEN".';
const INVALID = "401 The token is not valid: it is unknown, revoked or expired.";

describe("without a token", () => {
  test("everyone is admitted if the gateway may be open, and nobody otherwise", () => {
    expect(ask(open().start(), undefined)).toBe("admitted");
    expect(ask(open({ mayBeOpen: false }).start(), undefined)).toBe(NO_TOKEN);
  });
});

describe("a change of the file", () => {
  test("takes effect at the first request a second later, in both directions", async () => {
    const { path, clock, start, logged } = open();
    const access = start();
    const token = await addToken(path, "ci", { scopes: ["push"] });
    expect(ask(access, undefined)).toBe("admitted");
    clock.elapsedMs = 1_000;
    expect(ask(access, undefined)).toBe(NO_TOKEN);
    expect(ask(access, token)).toBe("admitted");
    expect(ask(access, token, "sql")).toBe(
      "403 The token does not have the scope sql, which this route needs.",
    );
    await removeToken(path, "ci");
    await addToken(path, "other", { scopes: ["push"] });
    clock.elapsedMs = 1_999;
    expect(ask(access, token)).toBe("admitted");
    clock.elapsedMs = 2_000;
    expect(ask(access, token)).toBe(INVALID);
    expect(logged).toEqual(['tokens_changed {"tokens":1}', 'tokens_changed {"tokens":1}']);
  });

  test("that cannot be read leaves the tokens as they were, and the log says why", async () => {
    const { path, clock, start, logged } = open();
    const token = await addToken(path, "ci", { scopes: ["push"] });
    const access = start();
    writeFileSync(path, '{"tokens": [{"name": "ci", "label": {}}]}');
    clock.elapsedMs = 1_000;
    expect(ask(access, token)).toBe("admitted");
    expect(logged).toEqual([
      expect.stringContaining(`has a token at index 0 that has the unknown field \\"label\\"`),
    ]);
  });

  test("that deletes the file revokes its tokens, and does not open the gateway", async () => {
    const { path, clock, start, logged } = open();
    const token = await addToken(path, "ci", { scopes: ["push"] });
    const access = start();
    rmSync(path);
    clock.elapsedMs = 1_000;
    expect(ask(access, token)).toBe(INVALID);
    expect(ask(access, undefined)).toBe(NO_TOKEN);
    expect(logged).toEqual(["token_file_deleted {}"]);
  });

  test("that revokes the last token opens a gateway that may be open", async () => {
    const { path, clock, start } = open();
    await addToken(path, "ci", { scopes: ["push"] });
    const access = start();
    await removeToken(path, "ci");
    clock.elapsedMs = 1_000;
    expect(ask(access, undefined)).toBe("admitted");
  });

  test("is read from a file that nobody may write", async () => {
    const { path, start } = open();
    const token = await addToken(path, "ci", { scopes: ["push"] });
    chmodSync(path, 0o400);
    expect(ask(start(), token)).toBe("admitted");
  });
});

test("a file has mode 0600 and no text of a token", async () => {
  const { path, start, usesPath } = open();
  const token = await addToken(path, "ci", { scopes: ["push"] });
  const access = start();
  ask(access, token);
  await access.close();
  for (const file of [path, usesPath]) {
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).not.toContain(token);
    expect(readFileSync(file, "utf8")).not.toContain(token.slice("weir_".length));
  }
});

test("two changes at the same time are both stored", async () => {
  const { path, start } = open();
  const names = Array.from({ length: 8 }, (_, index) => `token-${index}`);
  const tokens = await Promise.all(names.map((name) => addToken(path, name, { scopes: ["push"] })));
  const access = start();
  expect(tokens.map((token) => ask(access, token))).toEqual(names.map(() => "admitted"));
});

test("an expired token is rejected from its time on, and keeps the gateway closed", async () => {
  const { path, clock, start } = open();
  const token = await addToken(path, "ci", { scopes: ["push"], expiresMs: NOW_MS + 1 });
  const access = start();
  expect(ask(access, token)).toBe("admitted");
  expect(access.hasValidToken).toBe(true);
  clock.nowMs = NOW_MS + 1;
  expect(ask(access, token)).toBe(INVALID);
  expect(ask(access, undefined)).toBe(NO_TOKEN);
  expect(access.hasValidToken).toBe(false);
});

test("the token of the environment has every scope, and closes the gateway", () => {
  const access = open({ adminToken: "0123456789abcdefghij" }).start();
  expect(ask(access, undefined)).toBe(NO_TOKEN);
  for (const scope of ["push", "read", "sql", "scrape", "alerts", "admin"] as const)
    expect(ask(access, "0123456789abcdefghij", scope)).toBe("admitted");
  expect(ask(access, "0123456789abcdefghi")).toBe(INVALID);
});

test("the time of the last use is written at the end", async () => {
  const { path, usesPath, clock, start } = open();
  const token = await addToken(path, "ci", { scopes: ["push"] });
  const access = start();
  const written = () => Object.values(JSON.parse(readFileSync(usesPath, "utf8")) as Record<string, string>);
  ask(access, token);
  clock.nowMs += 59_999;
  ask(access, token);
  await access.close();
  expect(written()).toEqual([new Date(NOW_MS + 59_999).toISOString()]);
});

test("the first use of a token is written at once, also right after that of another token", async () => {
  const { path, usesPath, start } = open();
  const tokens = [
    await addToken(path, "a", { scopes: ["push"] }),
    await addToken(path, "b", { scopes: ["push"] }),
  ];
  const access = start();
  for (const token of tokens) ask(access, token);
  const times = () => [...readTokenUses(usesPath).values()];
  await until("both times are written", async () => times().length === 2);
  expect(times()).toEqual([NOW_MS, NOW_MS]);
  await access.close();
});

test("a later use is written after the interval, although no further request arrives", async () => {
  const usesPath = join(temporaryFolder(), "token-uses.json");
  const faults: unknown[] = [];
  const uses = new TokenUses(usesPath, (error) => faults.push(error), 20);
  uses.note("a", NOW_MS);
  uses.note("a", NOW_MS + 1);
  await until("the later time is written", async () => readTokenUses(usesPath).get("a") === NOW_MS + 1);
  await uses.close();
  expect(faults).toEqual([]);
});

describe("a token with labels", () => {
  test("is admitted to the routes that declare what they do for it, and the handler gets its labels", async () => {
    const { path, start } = open();
    const token = await addToken(path, "ci", { scopes: ["push", "read"], labels: { job: "ci" } });
    const access = start();
    const carrier = { headers: new Headers({ authorization: `Bearer ${token}` }), url: "/x" };
    const labels = new Map([["job", "ci"]]);
    const adds = { permission: "push", bound: "adds" } as const;
    expect(access.admit(carrier, adds, () => access.boundLabels())).toEqual(labels);
    const narrows = { permission: "read", bound: "narrows" } as const;
    expect(access.admit(carrier, narrows, (caller) => caller)).toEqual({ labels });
    expect(access.boundLabels()).toBeUndefined();
    for (const permission of ["push", "read"] as const) {
      expect(() => access.admit(carrier, { permission }, () => "admitted")).toThrow(
        "The token has labels, and this route does not support such a token.",
      );
    }
  });
});
