/** `weir silence` against a real gateway, and the notifiers in `weir check`. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
});
afterAll(async () => {
  await gateway.stop("SIGKILL");
});

const silence = (...args: string[]) => weir(["silence", ...args], { env: { WEIR_URL: gateway.url } });

test("add prints the id, list shows the silence, and expire ends it", async () => {
  const matchers = ["alertname=Hot", 'instance=~"gpu-[0-9]+"'];
  const beforeMs = Date.now();
  const added = await silence("add", ...matchers, "--for", "2h", "--comment", "new driver", "--author", "me");
  expect(added).toMatchObject({ code: 0, err: "" });
  const id = added.out.trim();
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  const [listed] = JSON.parse((await silence("list", "--format", "json")).out) as Record<string, string>[];
  expect(listed).toMatchObject({ id, createdBy: "me", comment: "new driver", status: { state: "active" } });
  expect(Date.parse(listed!.endsAt!)).toBeWithin(beforeMs + 7_200_000, Date.now() + 7_200_001);
  const table = (await silence("list", "alertname=Hot")).out;
  expect(table).toMatch(/^ID +STATE +MATCHERS +START +END +AUTHOR +COMMENT\n/);
  expect(table).toContain(`${id}  active  alertname="Hot" instance=~"gpu-[0-9]+"`);
  expect((await silence("list", "alertname=Cold")).err).toBe("There is no silence.\n");
  expect(await silence("expire", id)).toEqual({ code: 0, out: "", err: "The silence has ended.\n" });
  expect((await silence("list")).err).toBe("There is no silence.\n");
  expect((await silence("list", "--all")).out).toContain(`${id}  expired`);
  expect(await silence("expire", id)).toMatchObject({
    code: 1,
    err: `weir silence: The silence "${id}" has expired already.\n`,
  });
});

test("the author is the user of the process, also if the environment does not name it", async () => {
  const env = { WEIR_URL: gateway.url, USER: "", LOGNAME: "" };
  const added = await weir(["silence", "add", "a=b", "--for", "1h", "--comment", "x"], { env });
  expect(added).toMatchObject({ code: 0, err: "" });
  const listed = JSON.parse((await silence("list", "a=b", "--format", "json")).out) as Record<
    string,
    string
  >[];
  const user = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
  expect(listed.map(({ createdBy }) => createdBy)).toEqual([user]);
});

describe("the arguments", () => {
  test.each([
    [[], "expected one of add, list, expire."],
    [["mute"], 'The action is "mute", expected one of add, list, expire.'],
    [["add", "--for", "1h", "--comment", "x"], "Give at least one matcher"],
    [["add", "a", "--for", "1h", "--comment", "x"], '"a" is not a matcher'],
    [["add", "a=b", "--for", "1h"], "--comment is missing"],
    [["add", "a=b", "--comment", "x"], "Give one of --for and --end."],
    [["add", "a=b", "--comment", "x", "--for", "soon"], '--for is "soon", expected a duration such as 2h'],
    [["add", "a=b", "--comment", "x", "--end", "soon"], '--end is "soon"; expected now'],
    [["expire"], "expected the ids of silences."],
  ])("%p are rejected", async (args, message) => {
    const { code, err } = await silence(...args);
    expect(err).toContain(message);
    expect(code).toBe(message.startsWith("--end is") ? 1 : 2);
  });
});

test("weir check shows notifiers without secrets, and rejects a text that is not a template", async () => {
  const file = join(temporaryFolder(), "weir.toml");
  const toml = '[[notify]]\nname = "chat"\ntype = "slack"\nurl = "https://hooks.example.org/T0/hush-1"\n';
  writeFileSync(file, toml);
  const good = await weir(["check", "--config", file]);
  expect(good.code).toBe(0);
  expect(good.out).toMatch(/notify +chat=slack:https:\/\/hooks\.example\.org +/);
  expect(good.out).not.toContain("hush-1");
  writeFileSync(file, `${toml}title = "{{ .Statuses }}"\n`);
  const bad = await weir(["check", "--config", file]);
  expect(bad.code).toBe(2);
  expect(bad.err).toContain(
    'title of notify ("chat") is not a template at line 1, column 4: unknown field .Statuses: expected .Receiver, .Status,',
  );
  const served = await weir([
    "serve",
    "--config",
    file,
    "--data",
    temporaryFolder(),
    "--listen",
    "127.0.0.1:0",
  ]);
  expect(served.code).toBe(2);
  expect(served.err).toContain("unknown field .Statuses");
});
