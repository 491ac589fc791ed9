/** `weir init`: the files that it writes, the questions that it asks, and what it refuses. */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { serviceUnit } from "../../../src/commands/setup/service-unit.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

const ROOT = join(import.meta.dir, "../../..");

test("writes settings that a gateway starts with, and a token that it accepts", async () => {
  const folder = temporaryFolder();
  const [config, data] = [join(folder, "weir.toml"), join(folder, "data")];
  const { code, out } = await weir([
    ...["init", "--config", config, "--data", data, "--retention-days", "30", "--token", "me"],
    ...["--listen", "127.0.0.1:19091"],
  ]);
  expect(code).toBe(0);
  expect(readFileSync(config, "utf8")).toEndWith(
    `listen = ["127.0.0.1:19091"]\nretentionDays = 30\ndata = ${JSON.stringify(data)}\n`,
  );
  const [, token = ""] = /^ {2}export WEIR_TOKEN=(weir_\S+)$/m.exec(out) ?? [];
  expect(token).not.toBe("");
  expect(out.slice(out.indexOf("Go on with"))).toBe(`Go on with:

  ${ROOT}/scripts/weir serve --config ${config}

and in another terminal, with the same WEIR_TOKEN:

  ${ROOT}/scripts/weir doctor --config ${config}
  curl -H "Authorization: Bearer $WEIR_TOKEN" http://127.0.0.1:19091/api/v1/sql -d 'SELECT * FROM metrics'
`);
  const gateway = await GatewayProcess.start({ data, args: ["--no-sampler"] });
  // The commands work as they are printed, in the shell that has the variable.
  const doctor = ["doctor", "--config", config, "--url", gateway.url];
  expect(await weir(doctor, { env: { WEIR_TOKEN: token } })).toMatchObject({ code: 0 });
  const without = await weir(doctor);
  expect(without).toMatchObject({ code: 16 });
  expect(without.out).toContain(
    "FAIL  round trip   This route needs a token with the scope push: set the variable WEIR_TOKEN.\n",
  );
  const ask = (headers: Record<string, string>) => fetch(`${gateway.url}/api/v1/query?query=1`, { headers });
  expect((await ask({})).status).toBe(401);
  expect((await ask({ authorization: `Bearer ${token}` })).status).toBe(200);
  await gateway.stop("SIGTERM");
});

test("replaces no file, unless it is told to with --force", async () => {
  const folder = temporaryFolder();
  const config = join(folder, "weir.toml");
  writeFileSync(config, "mine");
  const argv = ["init", "--config", config, "--data", join(folder, "data")];
  expect(await weir(argv)).toMatchObject({
    code: 1,
    err: `weir init: ${config} exists already; --force replaces it.\n`,
  });
  expect(readFileSync(config, "utf8")).toBe("mine");
  expect((await weir([...argv, "--force"])).code).toBe(0);
  expect(readFileSync(config, "utf8")).toContain("retentionDays = 7\n");
});

test("writes nothing if a setting is invalid, or if anyone could use the gateway", async () => {
  const folder = temporaryFolder();
  const config = join(folder, "weir.toml");
  const base = ["init", "--config", config, "--data", join(folder, "data")];
  const invalid = await weir([...base, "--retention-days", "soon"]);
  expect(invalid.code).toBe(2);
  expect(invalid.err).toContain('--retention-days is "soon"');
  const open = await weir([...base, "--listen", "0.0.0.0:9091", "--token", "none"]);
  expect(open.code).toBe(2);
  expect(open.err).toContain(
    '--listen is "0.0.0.0:9091", which other machines may reach, and there is no token',
  );
  expect(existsSync(config)).toBe(false);
  // By default, such an address gets a token.
  const { code, out } = await weir([...base, "--listen", "0.0.0.0:9091"]);
  expect(code).toBe(0);
  expect(out).toContain('curl -H "Authorization: Bearer $WEIR_TOKEN" http://127.0.0.1:9091/');
});

test("writes a unit that differs from the shipped one only where the installation does", async () => {
  const folder = temporaryFolder();
  const [config, unit] = [join(folder, "weir.toml"), join(folder, "weir.service")];
  const { code, out } = await weir([
    ...["init", "--service", "systemd", "--config", config, "--unit", unit, "--data", join(folder, "data")],
    ...["--program", "/usr/bin/weir", "--user", "weir"],
  ]);
  expect(code).toBe(0);
  expect(out).toContain(
    `  sudo chown -R weir: ${folder}/data && sudo systemctl daemon-reload\n  sudo systemctl enable --now weir\n  curl `,
  );
  expect(existsSync(join(folder, "data"))).toBe(true);
  const shipped = readFileSync(join(ROOT, "scripts/deploy/systemd/weir.service"), "utf8").split("\n");
  const lines = readFileSync(unit, "utf8").split("\n");
  // No group: that of the user is used, which may have another name.
  expect(lines.filter((line) => !shipped.includes(line))).toEqual([
    '# The gateway as a service, as "weir init" made it.',
    "Documentation=man:weir(1)",
    `Environment=WEIR_DATA=${folder}/data`,
    `ExecStart=/usr/bin/weir serve --config ${config}`,
    `WorkingDirectory=${folder}/data`,
    "# It owns the folder, which is kept.",
    "User=weir",
    `ReadWritePaths=${folder}/data`,
  ]);
  expect(shipped.filter((line) => !lines.includes(line)).map((line) => line.split("=")[0])).toEqual([
    shipped[0]!,
    "Documentation",
    "Environment",
    "ExecStart",
    "WorkingDirectory",
    "# A user that exists while the service runs. It owns the folder, which is kept.",
    "DynamicUser",
    "StateDirectory",
    "StateDirectoryMode",
  ]);
});

test("writes files that the user of the service can read, whatever the umask", async () => {
  const folder = temporaryFolder();
  const settings = join(folder, "new/etc");
  chmodSync(folder, 0o755);
  const base = [
    "--service",
    "systemd",
    "--data",
    "/var/lib/weir-of-a-test",
    "--yes",
    "--program",
    "/usr/bin/weir",
  ];
  const files = ["--config", join(settings, "weir.toml"), "--unit", join(folder, "weir.service")];
  // As hardened machines have it for root.
  const child = Bun.spawn(
    [
      "sh",
      "-c",
      'umask 077; exec "$@"',
      "sh",
      process.execPath,
      join(ROOT, "src/main.ts"),
      "init",
      ...base,
      ...files,
    ],
    { stdout: "ignore", stderr: "pipe" },
  );
  expect(await child.stderr.text()).toBe(
    files
      .filter((_, at) => at % 2 === 1)
      .map((file) => `Wrote ${file}\n`)
      .join(""),
  );
  const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
  expect([files[1]!, files[3]!].map(modeOf)).toEqual(["644", "644"]);
  expect([join(folder, "new"), settings].map(modeOf)).toEqual(["755", "755"]);
});

test("installs a clone for other users first, and points to its documents", async () => {
  const folder = temporaryFolder();
  const unit = join(folder, "weir.service");
  const { code, out } = await weir([
    ...["init", "--service", "systemd", "--data", "/var/lib/weir-of-a-test"],
    ...["--config", join(folder, "weir.toml"), "--unit", unit],
  ]);
  expect(code).toBe(0);
  expect(out).toContain(
    `  sudo ${ROOT}/scripts/install && sudo systemctl daemon-reload\n  sudo systemctl enable`,
  );
  expect(readFileSync(unit, "utf8")).toContain(`\nDocumentation=file:${ROOT}/README.md\n`);
});

test("warns of folders that the user of the service cannot enter", async () => {
  const folder = temporaryFolder();
  const home = join(folder, "home");
  mkdirSync(home, { mode: 0o700 });
  chmodSync(folder, 0o755);
  const warnings = async (...more: string[]) => {
    const { code, err } = await weir([
      ...["init", "--service", "systemd", "--data", "/var/lib/weir-of-a-test", "--force"],
      ...["--config", join(folder, "weir.toml"), "--unit", join(folder, "weir.service"), ...more],
    ]);
    expect(code).toBe(0);
    return err.split("\n").filter((line) => line.startsWith("weir init: warning: "));
  };
  expect(await warnings("--program", join(home, "weir"))).toEqual([
    `weir init: warning: the user of the service cannot enter ${home}, and has to: run "chmod o+x ${home}", or use a place such as /opt.`,
  ]);
  expect(await warnings("--program", "/usr/bin/weir", "--config", join(home, "weir.toml"))).toHaveLength(1);
  // It belongs to the user who runs the service.
  const me = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
  expect(await warnings("--program", join(home, "weir"), "--user", me)).toEqual([]);
  expect(await warnings("--program", "/usr/bin/weir", "--user", "no-such-user")).toEqual([
    'weir init: warning: there is no user "no-such-user": make it before the service starts.',
  ]);
});

test("rejects a data folder that the user of the service could not write to", async () => {
  const folder = temporaryFolder();
  const [config, data] = [join(folder, "weir.toml"), join(folder, "data")];
  const { code, err } = await weir(["init", "--service", "systemd", "--config", config, "--data", data]);
  expect(code).toBe(2);
  expect(err).toContain(
    `--data is ${JSON.stringify(data)}, which is not below /var/lib: give --user NAME, a user of the system who shall own it.`,
  );
  expect(existsSync(config)).toBe(false);
});

test("writes nothing if the token exists, and makes none by default if there are some", async () => {
  const folder = temporaryFolder();
  const [config, data] = [join(folder, "weir.toml"), join(folder, "data")];
  const base = ["init", "--config", config, "--data", data, "--listen", "0.0.0.0:9091"];
  expect((await weir([...base, "--token", "admin"])).code).toBe(0);
  const before = readFileSync(config, "utf8");
  const again = await weir([...base, "--token", "admin", "--retention-days", "30", "--force"]);
  expect(again).toMatchObject({ code: 1, out: "" });
  expect(again.err).toBe(
    'weir init: There is a token "admin" already; "weir token revoke admin" revokes it.\n',
  );
  expect(readFileSync(config, "utf8")).toBe(before);
  const kept = await weir([...base, "--retention-days", "30", "--force"]);
  expect(kept).toMatchObject({ code: 0, err: `Wrote ${config}\n` });
  expect(kept.out).toContain('curl -H "Authorization: Bearer $WEIR_TOKEN" http://127.0.0.1:9091/');
});

test("prints addresses that curl can read", async () => {
  const folder = temporaryFolder();
  const stepOf = async (listen: string) => {
    const files = ["--config", join(folder, "weir.toml"), "--data", join(folder, "data"), "--force"];
    const { out } = await weir(["init", ...files, "--listen", listen]);
    return /^ {2}curl (.*)\/api\/v1\/sql/m.exec(out)?.[1];
  };
  expect(await stepOf("[::1]:9091")).toBe("http://[::1]:9091");
  expect(await stepOf("unix:weir.sock")).toBe("--unix-socket weir.sock http://localhost");
  expect(await stepOf("[::]:9091")).toBe('-H "Authorization: Bearer $WEIR_TOKEN" http://127.0.0.1:9091');
});

test("quotes paths as systemd reads them", () => {
  const unit = serviceUnit({
    program: ["/opt/my weir/weir", "serve"],
    config: "/etc/weir/100%.toml",
    data: "/var/lib/weir/main",
  });
  expect(unit).toContain('ExecStart="/opt/my weir/weir" serve --config /etc/weir/100%%.toml\n');
  expect(unit).toContain("StateDirectory=weir/main\n");
  expect(unit).toContain("DynamicUser=yes\n");
});

describe.skipIf(Bun.which("python3") === null)("on a terminal", () => {
  /** Runs `weir init`, types an answer after each question, and returns what is on the screen. */
  async function answered(
    answers: readonly string[],
    config: string,
    wanted: { readonly code: number } = { code: 0 },
  ): Promise<string> {
    const script = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
answers = [(answer + "\\n").encode() for answer in ${JSON.stringify(answers)}]
asked = len(answers)
text = b""
while True:
    try:
        piece = os.read(fd, 4096)
    except OSError:
        break
    if not piece:
        break
    text += piece
    while answers and text.count(b"] ") > asked - len(answers):
        os.write(fd, answers.pop(0))
sys.stdout.buffer.write(text)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
    const argv = [process.execPath, join(ROOT, "src/main.ts"), "init", "--config", config];
    const data = join(dirname(config), "data");
    const child = Bun.spawn(["python3", "-c", script, ...argv, "--data", data], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    expect({ code, err }).toEqual({ ...wanted, err: "" });
    return out.replaceAll("\r\n", "\n");
  }

  test("asks what no flag answers, with defaults", async () => {
    const config = join(temporaryFolder(), "weir.toml");
    const out = await answered(["none", "127.0.0.1:19093", "", ""], config);
    for (const question of [
      "Service manager, none or systemd? [none]",
      "Address to listen on? [127.0.0.1:9091]",
      "Days to keep samples? [7]",
      "Name of a first token, or none? [none]",
    ])
      expect(out).toContain(question);
    expect(readFileSync(config, "utf8")).toContain('listen = ["127.0.0.1:19093"]\nretentionDays = 7\n');
  });

  test("asks nothing more if the file exists", async () => {
    const config = join(temporaryFolder(), "weir.toml");
    writeFileSync(config, "mine");
    const out = await answered(["none"], config, { code: 1 });
    expect(out).toEndWith(`weir init: ${config} exists already; --force replaces it.\n`);
    expect(out).not.toContain("Address");
    expect(readFileSync(config, "utf8")).toBe("mine");
  });

  test("asks again after an answer that is invalid", async () => {
    const config = join(temporaryFolder(), "weir.toml");
    const out = await answered(
      ["launchd", "", "localhost", "0.0.0.0:19093", "soon", "14", "none", "a b", "me"],
      config,
    );
    for (const [question, reason] of [
      ["Service manager, none or systemd?", '--service is "launchd", expected one of none, systemd.'],
      ["Address to listen on?", '--listen is "localhost"'],
      ["Days to keep samples?", '--retention-days is "soon"'],
      ["Name of a first token, or none?", "which other machines may reach, and there is no token"],
      ["Name of a first token, or none?", '--token is "a b"'],
    ] as const) {
      const after = out.slice(out.indexOf(reason));
      expect(after).toStartWith(reason);
      expect(after.split("\n")[1]).toStartWith(question);
    }
    expect(readFileSync(config, "utf8")).toContain('listen = ["0.0.0.0:19093"]\nretentionDays = 14\n');
    expect(out).toMatch(/^ {2}export WEIR_TOKEN=weir_\S+$/m);
  });
});
