/** `weir token` and the real process: creation, listing, revocation, and what a start needs. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";
import { weir } from "../weir.ts";

setDefaultTimeout(300_000);

const running: GatewayProcess[] = [];
afterAll(async () => {
  for (const gateway of running) await gateway.stop("SIGTERM");
});

const TOKEN = /^weir_[A-Za-z0-9_-]{43}\n$/;

async function start(data: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const gateway = await GatewayProcess.start({ data, args: ["--no-sampler", ...args], env });
  running.push(gateway);
  return gateway;
}

async function create(data: string, ...args: string[]): Promise<string> {
  const { code, out, err } = await weir(["token", "create", "--data", data, ...args]);
  expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("is not shown again") });
  expect(out).toMatch(TOKEN);
  return out.trim();
}

const statusOf = async ({ url }: GatewayProcess, token: string, path = "/metrics") =>
  (await fetch(`${url}${path}`, { headers: token === "" ? {} : { authorization: `Bearer ${token}` } }))
    .status;

describe("weir token", () => {
  test("warns of a label that is an attribute, and the gateway logs it with the metrics", async () => {
    const data = temporaryFolder();
    const gateway = await start(data, ["--label-values-max=2"]);
    const events = ["a", "b", "c"].map((user) => ({
      metric_name: "m.demoted",
      value: 1,
      tags: { user, task_id: user },
    }));
    const pushed = await fetch(`${gateway.url}/api/v1/push`, {
      method: "POST",
      body: JSON.stringify(events),
    });
    expect(pushed.status).toBe(200);
    const created = (name: string, label: string) =>
      weir(["token", "create", "--data", data, "--name", name, "--scope", "read", "--label", label]);
    const first = await created("one", "task_id=a");
    expect({ code: first.code, out: first.out }).toEqual({ code: 0, out: expect.stringMatching(TOKEN) });
    expect(first.err).toEndWith(
      'Warning: the label "task_id" is an attribute of events (setting attributes), not a label of series. What the token ' +
        'pushes gets it, but the token "one" cannot read these events.\n',
    );
    // A label with too many values is known to the gateway alone.
    expect((await created("two", "user=a")).err).not.toContain("Warning");
    expect((await created("three", "job=a")).err).not.toContain("Warning");
    await until("the gateway reads the tokens", async () => {
      await statusOf(gateway, "");
      return gateway.log.text.includes("label=user");
    });
    const lines = gateway.log.text.split("\n").filter((line) => line.includes("token_label_is_attribute"));
    const texts = new Set(lines.map((line) => line.slice(line.indexOf("label="))));
    expect([...texts].sort()).toEqual(["label=task_id metrics=all", "label=user metrics=m.demoted"]);
  });

  test("creates and revokes tokens of a gateway that runs, which it reads without a restart", async () => {
    const data = temporaryFolder();
    const gateway = await start(data);
    expect(await statusOf(gateway, "")).toBe(200);
    const token = await create(data, "--name", "prometheus", "--scope", "scrape,push", "--expires", "90d");
    await until("the gateway needs a token", async () => (await statusOf(gateway, "")) === 401);
    expect(await statusOf(gateway, token)).toBe(200);
    expect(await statusOf(gateway, token, "/api/v1/sql?q=SELECT+1")).toBe(403);
    expect(await statusOf(gateway, "", "/-/healthy")).toBe(200);
    const other = await create(
      data,
      "--name",
      "ci",
      "--scope",
      "push",
      "--label",
      "job=ci",
      "--label",
      "team=a",
      "--limit",
      "requests=2,samples=0.5",
      "--limit",
      "bytes=10MiB",
    );
    const list = await weir(["token", "list", "--data", data]);
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
    expect(list.out.split("\n")).toEqual([
      expect.stringMatching(/^NAME +SCOPES +LABELS +LIMITS +CREATED +EXPIRES +LAST USED$/),
      expect.stringMatching(new RegExp(`^prometheus +scrape,push +none +none +${time} +${time} +${time}$`)),
      expect.stringMatching(
        new RegExp(`^ci +push +job=ci,team=a +requests=2,samples=0.5,bytes=10485760 +${time} +never +never$`),
      ),
      "",
    ]);
    expect((await weir(["token", "revoke", "prometheus", "--data", data])).code).toBe(0);
    await until("the token is revoked", async () => (await statusOf(gateway, token)) === 401);
    for (const file of ["tokens.json", "token-uses.json"])
      expect(statSync(join(data, file)).mode & 0o777).toBe(0o600);
    await gateway.stop("SIGTERM");
    for (const secret of [token, other].map((each) => each.slice("weir_".length))) {
      expect(gateway.log.text).not.toContain(secret);
      expect(readFileSync(join(data, "tokens.json"), "utf8")).not.toContain(secret);
    }
  });

  test("works without a gateway, and the next start needs the token", async () => {
    const data = join(temporaryFolder(), "new");
    const token = await create(data, "--name", "all", "--scope", "read", "--scope", "sql");
    expect((await weir(["token", "create", "--data", data, "--name", "all", "--scope", "read"])).err).toBe(
      'weir token: There is a token "all" already; "weir token revoke all" revokes it.\n',
    );
    const gateway = await start(data);
    const env = { WEIR_URL: gateway.url };
    const question = ["sql", "--format", "csv", "SELECT 1 AS one"];
    expect(await weir(question, { env })).toMatchObject({
      code: 1,
      err: expect.stringContaining("This route needs a token with the scope sql"),
    });
    const { code, out } = await weir(question, { env: { ...env, WEIR_TOKEN: token } });
    expect([code, out.trim().split(/\r?\n/)]).toEqual([0, ["one", "1"]]);
  });

  test("rejects arguments that make no token", async () => {
    const data = temporaryFolder();
    const bad = async (args: string[], message: string) => {
      const { code, err } = await weir(["token", ...args, "--data", data]);
      expect([code, err.split("\n")[0]]).toEqual([2, `weir token: ${message}`]);
    };
    await bad([], "expected one of create, list, revoke.");
    await bad(["delete"], 'The action is "delete", expected one of create, list, revoke.');
    await bad(["create", "--scope", "push"], "--name is missing: it names the token in lists.");
    await bad(
      ["create", "--name", "a"],
      "The token has no scope, expected at least one of push, read, sql, scrape, alerts, admin.",
    );
    await bad(
      ["create", "--name", "a", "--scope", "write"],
      '--scope is "write", expected one of push, read, sql, scrape, alerts, admin.',
    );
    await bad(
      ["create", "--name", "a b", "--scope", "push"],
      '--name is "a b", expected up to 64 letters, digits, and characters of "._-".',
    );
    await bad(
      ["create", "--name", "a", "--scope", "push", "--expires", "soon"],
      '--expires is "soon", expected a duration such as 90d or 12h, up to 100 years.',
    );
    await bad(
      ["create", "--name", "a", "--scope", "push", "--label", "le=1"],
      'The token has the label "le", which histograms and summaries use, expected another one.',
    );
    for (const name of ["__name__", "host.name", "1st"]) {
      await bad(
        ["create", "--name", "a", "--scope", "push", "--label", `${name}=1`],
        `The token has the label "${name}", expected letters, digits and "_", with no digit and no "__" at the beginning.`,
      );
    }
    await bad(
      ["create", "--name", "a", "--scope", "push", "--label", "team=a", "--label", "team=b"],
      '--label has "team" twice, expected one value for each label.',
    );
    expect(existsSync(join(data, "tokens.json"))).toBe(false);
    const absent = join(data, "absent");
    expect(await weir(["token", "create", "--scope", "push", "--data", absent])).toMatchObject({ code: 2 });
    expect(existsSync(absent)).toBe(false);
    expect(await weir(["token", "revoke", "a", "--data", data])).toMatchObject({
      code: 1,
      err: `weir token: There is no token "a" in ${join(data, "tokens.json")}.\n`,
    });
  });
});

describe("a start", () => {
  test("on an address that other machines reach fails without a token, and names two commands that work", async () => {
    const data = temporaryFolder();
    const args = ["--no-sampler", "--listen", "0.0.0.0:0"];
    const { exitCode, log } = await GatewayProcess.startToEnd({ data, args });
    expect(exitCode).toBe(2);
    expect(log).toContain(
      'listen is "0.0.0.0:0", which other machines may reach, and there is no token and no user of web.yml: run ' +
        `"weir token create --name admin --scope push,read,sql,scrape,alerts,admin --data ${data}", and then ` +
        `"weir serve --listen 0.0.0.0:0 --data ${data}".`,
    );
    const token = await create(data, "--name", "admin", "--scope", "push,read,sql,scrape,alerts,admin");
    const gateway = await start(data, ["--listen", "0.0.0.0:0"]);
    expect([await statusOf(gateway, ""), await statusOf(gateway, token)]).toEqual([401, 200]);
    // The last token is revoked: everyone could write now, if the gateway were open.
    await weir(["token", "revoke", "admin", "--data", data]);
    await until("the token is revoked", async () => (await statusOf(gateway, token)) === 401);
    expect(await statusOf(gateway, "")).toBe(401);
  });

  test("fails if the token file is missing, also on loopback, unless there is another token", async () => {
    const [folder, data] = [temporaryFolder(), temporaryFolder()];
    const file = join(folder, "secret.json");
    const settings = ["--token-file", file];
    for (const more of [[], ["--open"]]) {
      const { exitCode, log } = await GatewayProcess.startToEnd({ data, args: [...settings, ...more] });
      expect(exitCode).toBe(2);
      expect(log).toContain(
        `tokenFile is "${file}", which does not exist, so no request would need a token: run "weir token create --name ` +
          `admin --scope push,read,sql,scrape,alerts,admin --token-file ${file}", or start without this setting.`,
      );
    }
    const boot = "of-the-environment-1";
    const first = await start(data, settings, { WEIR_ADMIN_TOKEN: boot });
    expect([await statusOf(first, ""), await statusOf(first, boot)]).toEqual([401, 200]);
    await first.stop("SIGTERM");
    const made = await weir(["token", "create", "--name", "admin", "--scope", "scrape", ...settings]);
    const second = await start(data, settings);
    expect([await statusOf(second, ""), await statusOf(second, made.out.trim())]).toEqual([401, 200]);
    await second.stop("SIGTERM");
    // The file is there and has no token: an open address names the same file in both commands.
    await weir(["token", "revoke", "admin", ...settings]);
    const args = [...settings, "--listen", "0.0.0.0:0"];
    const { exitCode, log } = await GatewayProcess.startToEnd({ data, args });
    expect([exitCode, log]).toEqual([
      2,
      expect.stringContaining(`"weir serve --listen 0.0.0.0:0 --data ${data} --token-file ${file}"`),
    ]);
  });

  test("with --open needs no token there", async () => {
    const gateway = await start(temporaryFolder(), ["--listen", "0.0.0.0:0", "--open"]);
    expect(await statusOf(gateway, "")).toBe(200);
  });

  test("accepts a token of the environment, which no output and no file contains", async () => {
    const data = temporaryFolder();
    const secret = "first-start.0123456789";
    const gateway = await start(data, ["--listen", "0.0.0.0:0"], { WEIR_ADMIN_TOKEN: secret });
    expect([await statusOf(gateway, ""), await statusOf(gateway, secret)]).toEqual([401, 200]);
    for (const path of ["/metrics", "/api/v1/status", "/api/v1/status/flags"]) {
      const answer = await fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${secret}` } });
      expect(await answer.text()).not.toContain(secret);
    }
    expect(gateway.log.text).not.toContain(secret);
    expect(existsSync(join(data, "tokens.json"))).toBe(false);
    const { exitCode, log } = await GatewayProcess.startToEnd({
      data: temporaryFolder(),
      env: { WEIR_ADMIN_TOKEN: "short-secret" },
    });
    expect([exitCode, log.includes("WEIR_ADMIN_TOKEN is not a token"), log.includes("short-secret")]).toEqual(
      [2, true, false],
    );
    const check = await weir(["check"], { env: { WEIR_ADMIN_TOKEN: secret } });
    expect([check.code, check.err, check.out.includes(secret)]).toEqual([0, "", false]);
  });

  test("reads a token file that is mounted read-only", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "tokens.json");
    const made = await weir(["token", "create", "--name", "a", "--scope", "scrape", "--token-file", file]);
    chmodSync(file, 0o444);
    chmodSync(folder, 0o555);
    const data = temporaryFolder();
    const gateway = await start(data, ["--token-file", file]);
    expect([await statusOf(gateway, ""), await statusOf(gateway, made.out.trim())]).toEqual([401, 200]);
    chmodSync(folder, 0o755);
  });

  test("fails if the token file is damaged, and does not open the gateway", async () => {
    const data = temporaryFolder();
    writeFileSync(join(data, "tokens.json"), '{"tokens": [');
    const { exitCode, log } = await GatewayProcess.startToEnd({ data });
    expect([exitCode, log]).toEqual([
      1,
      expect.stringContaining(`The token file "${data}/tokens.json" is not JSON.`),
    ]);
  });
});
