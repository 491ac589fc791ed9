/**
 * No secret is shown: a gateway with every kind of secret, and all that it prints, serves, stores and passes to other
 * programs. Then errors about settings and files that have secrets.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SCOPES } from "../../src/access/access-token.ts";
import { readTokenFile } from "../../src/access/token-file.ts";
import { loadConfig } from "../../src/config/config.ts";
import { checkWebConfig } from "../../src/web-config/live-web-config.ts";
import { addToken } from "../access/token-texts.ts";
import { weir } from "../commands/weir.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { makeCertificate } from "../web-config/certificate-maker.ts";

setDefaultTimeout(300_000);

const folder = temporaryFolder();
const data = join(folder, "data");
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
};

/** Each secret by what it is. All of them are words that occur nowhere else. */
const secrets: Record<string, string> = {
  "password of web.yml": "secret1-of-web-yml",
  WEIR_ADMIN_TOKEN: "secret2-of-the-environment",
  "password in the URL of a target": "secret3-of-a-url",
  "user in the URL of a target": "secret4-user-of-a-url",
  "parameter in the URL of a target": "secret5-of-a-parameter",
  "password of a target": "secret6-of-basic-auth",
  "token of a target": "secret7-of-authorization",
  "bearer token of a target": "secret8-of-bearer-token",
  "parameter of a target": "secret9-of-params",
  "password in a file": "secret10-in-a-file",
  "wrong token": "secret11-that-is-wrong",
  "wrong password": "secret12-that-is-wrong",
  "parameter of a request": "secret13-of-a-query",
  "path of a notifier": "secret14-of-a-chat",
  "token of a notifier": "secret15-of-a-notifier",
  "password of a notifier": "secret16-of-a-notifier",
};

/** The texts that must not appear, with what they are. */
function shownIn(text: string): string[] {
  return Object.entries(secrets)
    .flatMap(([what, secret]) => {
      const forms = [
        secret,
        Buffer.from(secret).toString("base64"),
        Buffer.from(`alice:${secret}`).toString("base64"),
      ];
      return forms.some((form) => text.includes(form)) ? [what] : [];
    })
    .sort();
}

let gateway: GatewayProcess;
let all: string;
let target: Bun.Server<undefined>;
const ca = makeCertificate({ name: "ca" });
const env = { WEIR_ADMIN_TOKEN: secrets.WEIR_ADMIN_TOKEN! };
let configFile: string;
let webYml: string;

beforeAll(async () => {
  const own = makeCertificate({ name: "own", issuer: ca });
  const hash = await Bun.password.hash(secrets["password of web.yml"]!, { algorithm: "bcrypt", cost: 4 });
  webYml = file(
    "web.yml",
    `tls_server_config:\n  cert: ${JSON.stringify(own.cert)}\n  key: ${JSON.stringify(own.key)}\nbasic_auth_users:\n  alice: ${hash}\n`,
  );
  secrets["hash of web.yml"] = hash;
  secrets["key of web.yml"] = own.key.split("\n")[1]!;
  target = Bun.serve({
    hostname: "127.0.0.1",
    port: 0, // It quotes what it got, as some servers do.
    fetch: ({ url, headers }) =>
      new Response(`Cannot POST ${url} with ${JSON.stringify([...headers])}`, {
        status: url.includes("notify") ? 404 : 500,
      }),
  });
  const { port } = target;
  const jobs = [
    `job_name = "basic"\nbasic_auth = { username = "u", password = "${secrets["password of a target"]}" }`,
    `job_name = "authorization"\nauthorization = { credentials = "${secrets["token of a target"]}" }`,
    `job_name = "bearer"\nbearer_token = "${secrets["bearer token of a target"]}"\nparams = { key = ["${secrets["parameter of a target"]}"] }`,
    `job_name = "file"\nbasic_auth = { username = "u", password_file = "${file("password", secrets["password in a file"]!)}" }`,
    `job_name = "closed"\nmetrics_path = "/closed"\nbasic_auth = { username = "u", password = "${secrets["password of a target"]}" }`,
  ];
  const tables = jobs.map(
    (job) =>
      `[[scrape]]\n${job}\nscrape_interval = "1s"\ntargets = ["127.0.0.1:${job.includes("closed") ? 1 : port}"]\n`,
  );
  const notifiers = [
    `name = "a"\ntype = "slack"\nurl = "http://127.0.0.1:${port}/notify/${secrets["path of a notifier"]}?x=${secrets["parameter in the URL of a target"]}"`,
    `name = "b"\ntype = "webhook"\nurl = "http://127.0.0.1:${port}/notify"\nbearer_token = "${secrets["token of a notifier"]}"`,
    `name = "c"\ntype = "webhook"\nurl = "http://127.0.0.1:${port}/notify"\nbasic_auth = { username = "alice", password = "${secrets["password of a notifier"]}" }`,
    `name = "d"\ntype = "alertmanager"\nurl = "http://127.0.0.1:${port}/notify/${secrets["path of a notifier"]}"`,
    `name = "e"\ntype = "email"\nurl = "smtp://127.0.0.1:1"\nfrom = "a@b"\nto = "a@b"\nusername = "u"\npassword = "${secrets["password of a notifier"]}"\ngroup_interval = "1s"`,
  ];
  tables.push(...notifiers.map((each) => `[[notify]]\n${each}\ngroup_wait = "0s"\n`));
  configFile = file(
    "weir.toml",
    `enableAdminApi = true\nlogRequests = true\nlogLevel = "debug"\n${tables.join("\n")}`,
  );
  all = await addToken(file("tokens.json", '{"tokens": []}'), "all", { scopes: SCOPES });
  secrets.token = all;
  gateway = await GatewayProcess.start({
    data,
    args: [
      "--no-sampler",
      "--config",
      configFile,
      "--web-config-file",
      webYml,
      "--token-file",
      join(folder, "tokens.json"),
    ],
    env,
  });
});
afterAll(async () => {
  await gateway.stop("SIGKILL");
  await target.stop(true);
});

const trusting = { tls: { ca: ca.cert } };
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("a gateway with secrets", () => {
  test("serves none of them, on any route with any answer", async () => {
    // Failed scrapes have been logged.
    const targets = async () =>
      (await fetch(`${gateway.url}/api/v1/targets`, { headers: bearer(all), ...trusting })).text();
    await until(
      "all targets were scraped",
      async () => (await targets()).match(/"health":"down"/g)?.length === 5,
    );
    const table = /<!-- routes -->([\s\S]*)<!-- \/routes -->/.exec(
      readFileSync(join(import.meta.dir, "../../src/http/README.md"), "utf8"),
    )![1]!;
    const routes = [...table.matchAll(/^\| (`.*?`) \| `(.*?)` \|/gm)].flatMap(([, methods, path]) =>
      methods!.match(/[A-Z]+/g)!.map((method) => [method, path!.replace(/NAME|FILE|\*/g, "a")] as const),
    );
    expect(routes.length).toBeGreaterThan(80);
    const credentials = [
      bearer(all),
      bearer(secrets.WEIR_ADMIN_TOKEN!),
      { authorization: `Basic ${btoa(`alice:${secrets["password of web.yml"]}`)}` },
      bearer(secrets["wrong token"]!),
      { authorization: `Basic ${btoa(`alice:${secrets["wrong password"]}`)}` },
      {},
    ];
    const found: string[] = [];
    for (const [method, path] of routes) {
      if (path === "/-/quit" || path === "/api/v1/admin/wipe") continue;
      const answers = await Promise.all(
        credentials.map(async (headers) => {
          const query = `?api_key=${secrets["parameter of a request"]}&p=${secrets["parameter of a request"]}`;
          const answer = await fetch(`${gateway.url}${path}${query}`, {
            method,
            headers,
            ...(method === "GET" ? {} : { body: "{" }),
            ...trusting,
          });
          return `${JSON.stringify([...answer.headers])}\n${await answer.text()}`;
        }),
      );
      for (const answer of answers)
        found.push(...shownIn(answer).map((what) => `${method} ${path}: ${what}`));
    }
    expect(found).toEqual([]);
  });

  test("serves none of them by SQL, and stores none in its folder", async () => {
    for (const sql of [
      "SELECT * FROM samples",
      "SELECT * FROM series",
      "SELECT * FROM rejected",
      "SELECT * FROM metrics",
    ]) {
      const answer = await fetch(`${gateway.url}/api/v1/sql`, {
        method: "POST",
        headers: { "content-type": "application/json", ...bearer(all) },
        body: JSON.stringify({ sql }),
        ...trusting,
      });
      expect([sql, shownIn(await answer.text())]).toEqual([sql, []]);
    }
    const snapshot = await fetch(`${gateway.url}/api/v1/admin/tsdb/snapshot`, {
      method: "POST",
      headers: bearer(all),
      ...trusting,
    });
    expect(snapshot.status).toBe(200);
    for (const name of readdirSync(data, { recursive: true, encoding: "utf8" })) {
      const path = join(data, name);
      if (statSync(path).isFile()) expect([name, shownIn(readFileSync(path, "latin1"))]).toEqual([name, []]);
    }
  });

  test("has none of them in its arguments, and its log has none, at the level debug with all requests", async () => {
    const line = readFileSync(`/proc/${gateway.pid}/cmdline`, "latin1");
    expect([line.includes("--web-config-file"), shownIn(line)]).toEqual([true, []]);
    writeFileSync(webYml, `basic_auth_users: { alice: ${secrets["password of web.yml"]} }`);
    await until("the fault is logged", () => gateway.log.text.includes("event=web_config_unusable"));
    await fetch(`${gateway.url}/api/v2/alerts`, {
      method: "POST",
      headers: bearer(all),
      body: '[{"labels": {"alertname": "Hot"}}]',
      ...trusting,
    });
    await until(
      "all notifiers have failed",
      () => gateway.log.text.match(/event=notification_failed .*notifier=[a-e] /g)?.length === 5,
    );
    expect(gateway.log.text).toContain("Cannot POST");
    for (const event of ["listening", "request", "target_down"])
      expect(gateway.log.text).toContain(`event=${event} `);
    expect(shownIn(gateway.log.text)).toEqual([]);
  });
});

describe("commands", () => {
  test("check, doctor and token list print none of them", async () => {
    const settings = ["--config", configFile, "--data", data, "--token-file", join(folder, "tokens.json")];
    for (const command of [["check"], ["doctor"], ["token", "list"]]) {
      const { out, err } = await weir([...command, ...settings], { env });
      expect([command, shownIn(`${out}${err}`)]).toEqual([command, []]);
      expect(out.length).toBeGreaterThan(0);
    }
    const url = `http://${secrets["user in the URL of a target"]}:${secrets["password in the URL of a target"]}@127.0.0.1:1/m?k=${secrets["parameter in the URL of a target"]}`;
    for (const more of [
      { args: ["--scrape", url], env },
      { args: [], env: { ...env, WEIR_SCRAPE: url } },
    ]) {
      const { code, out, err } = await weir(["check", "--data", data, ...more.args], { env: more.env });
      expect([code, shownIn(`${out}${err}`)]).toEqual([0, []]);
      expect(out).toContain("http://127.0.0.1:1/m?k=…");
    }
  });

  test("errors about settings and files with secrets show none of them", async () => {
    const secret = secrets["password of web.yml"]!;
    let files = 0;
    const toml = (text: string) => ["--config", file(`broken-${++files}.toml`, text)];
    const yml = (text: string) => ["--web-config-file", file(`broken-${++files}.yml`, text)];
    const tokens = (text: string) => ["--token-file", file(`broken-${++files}.json`, text)];
    const wrong: string[][] = [
      ["--scrape", `http://u:${secret}@host:port/`],
      ["--scrape", `ftp://u:${secret}@host/`],
      ["--scrape", `http://u:${secret}%zz@host/`],
      ["--scrape", `http://u:${secret}@host/,jab=x`],
      [`http://u:${secret}@host/`],
      toml(`[[scrape]]\njob_name = "a"\nbasic_auth = "${secret}"\ntargets = ["a:1"]\n`),
      toml(
        `[[scrape]]\njob_name = "a"\nbasic_auth = { username = "u", pasword = "${secret}" }\ntargets = ["a:1"]\n`,
      ),
      toml(`[[scrape]]\njob_name = "a"\nbearer_token = ["${secret}"]\ntargets = ["a:1"]\n`),
      toml(`[[scrape]]\njob_name = "a"\ntargets = ["http://u:${secret}@a:1"]\n`),
      toml(`[[scrape]]\njob_name = "a"\nbearer_token = "${secret}\ntargets = ["a:1"]\n`),
      toml(`adminToken = "${secret}"\n`),
      yml(`basic_auth_users: { alice: ${secret} }`),
      yml(`basic_auth_users: { alice: "${secret} }`),
      yml(`basic_auth_users: [alice, ${secret}]`),
      yml(`basic_auth_users: { alice: { password: ${secret} } }`),
      yml(`basic_auth_users: alice:${secret}`),
      yml(`tls_server_config: { cert: ${secret}, key: ${secret} }`),
      yml(`tls_server_config: { cert: ${JSON.stringify(ca.cert)}, key: ${secret} }`),
      tokens(
        `{"tokens": [{"id": "a", "name": "a", "sha256": "${secret}", "scopes": ["push"], "created": "2024-01-01"}]}`,
      ),
      tokens(`{"tokens": "${secret}`),
    ];
    // The command line prints the message of an error, and nothing else of it.
    const messages = wrong.map((args) => {
      try {
        const config = loadConfig(args, {}, (path) =>
          existsSync(path) ? readFileSync(path, "utf8") : undefined,
        );
        checkWebConfig(config, Date.now());
        readTokenFile(config.tokenFile);
        return "none";
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(messages.filter((message) => message === "none" || shownIn(message).length > 0)).toEqual([]);
    for (const [args, more] of [
      [[], { WEIR_ADMIN_TOKEN: `${secret} !` }],
      [wrong.at(-1)!, {}],
    ] as const) {
      const { exitCode, log } = await GatewayProcess.startToEnd({
        data: join(folder, "never"),
        args: ["--no-sampler", ...args],
        env: more,
      });
      expect([exitCode === 0, log.length > 0, shownIn(log)]).toEqual([false, true, []]);
    }
  });

  test("a client prints neither its token nor the password of its URL", async () => {
    const url = `https://u:${secrets["password in the URL of a target"]}@127.0.0.1:1`;
    for (const [args, variables] of [
      [["sql", "SELECT 1", "--url", url], {}],
      [["sql", "SELECT 1"], { WEIR_URL: url, WEIR_TOKEN: secrets["wrong token"]! }],
      [["sql", "SELECT 1", "--url", url.replace("https", "gopher")], {}],
    ] as const) {
      const { code, out, err } = await weir(args, { env: variables });
      expect([code === 0, shownIn(`${out}${err}`)]).toEqual([false, []]);
    }
  });
});
