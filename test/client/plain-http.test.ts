/** The snippets of src/client/plain-http.md run as they are printed, against the real gateway behind a front that fails. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { Front, sqlRows } from "./python-process.ts";

const PAGE = readFileSync(join(import.meta.dir, "../../src/client/plain-http.md"), "utf8");
const snippet = (language: string) => new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(PAGE)![1]!;
/** A program's path, and a note that says why its test is skipped. */
const tool = (name: string) => {
  const path = Bun.which(name) ?? undefined;
  return { path, note: path === undefined ? ` (skipped: ${name} is not installed)` : "" };
};

describe("plain HTTP", () => {
  let gateway: GatewayProcess;
  let front: Front;
  beforeAll(async () => {
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    front = new Front(() => gateway.url);
  });
  afterEach(() => {
    front.rule = () => "pass";
    front.seen.length = 0;
  });
  afterAll(async () => {
    await front.close();
    await gateway.stop("SIGKILL");
  });
  const rows = (statement: string) => sqlRows(gateway.url, statement);
  const run = async (command: string[], env: Record<string, string> = {}, input = "", cwd = "/") => {
    const child = Bun.spawn(command, {
      cwd,
      env: { ...process.env, ...env },
      stdin: new TextEncoder().encode(input),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { exitCode: await child.exited, output: out + errors };
  };
  const event = (name: string, value: number) =>
    `${JSON.stringify({ "@timestamp": Date.now(), metric_name: name, value })}\n`;

  const curl = tool("curl");
  describe.skipIf(curl.path === undefined)(`the function of the shell${curl.note}`, () => {
    const push = (spool: string, input: string, env: Record<string, string> = {}) =>
      run(
        ["sh", "-eu", "-c", `${snippet("sh")}\nWEIR_TOKEN=\${WEIR_TOKEN-} weir_push`],
        { WEIR_URL: front.url, WEIR_SPOOL: spool, ...env },
        input,
      );

    test("keeps events while the gateway is away, and sends them once, fresh ones first", async () => {
      const spool = `${temporaryFolder()}/new folder`;
      await front.close();
      expect(await push(spool, event("sh_ms", 1) + event("sh_ms", 2))).toEqual({ exitCode: 1, output: "" });
      front.open();
      front.rule = () => "lose answer";
      expect((await push(spool, event("sh_ms", 3))).exitCode).toBe(1);
      front.rule = () => new Response("", { status: 429 });
      expect((await push(spool, event("sh_ms", 4))).exitCode).toBe(1);
      expect(readdirSync(spool)).toHaveLength(3);
      front.rule = () => "pass";
      front.seen.length = 0;
      expect(await push(spool, event("sh_ms", 5))).toEqual({ exitCode: 0, output: "" });
      expect(readdirSync(spool)).toEqual([]);
      expect(await rows("SELECT count(*), sum(value) FROM sh_ms")).toEqual([[5, 15]]);
      const keys = front.seen.map(({ key }) => key!);
      expect(new Set(keys).size).toBe(4);
      for (const key of keys) expect(key).toMatch(/^\d{10}-[0-9a-f]{24}$/);
    });

    test("keeps a refused batch aside, sends the next one, and sends the token", async () => {
      const spool = temporaryFolder();
      front.rule = (request) =>
        request.headers.get("authorization") === "Bearer secret" ? "pass" : new Response("", { status: 401 });
      expect((await push(spool, event("sh_refused_ms", 1))).exitCode).toBe(0);
      expect((await push(spool, event("sh_refused_ms", 2), { WEIR_TOKEN: "secret" })).exitCode).toBe(0);
      expect(readdirSync(spool)).toEqual([expect.stringMatching(/\.ndjson\.refused-401$/)]);
      expect(await rows("SELECT value FROM sh_refused_ms")).toEqual([[2]]);
    });

    test("keeps at most 1,000 files, and drops the oldest", async () => {
      const spool = temporaryFolder();
      for (let i = 0; i < 1_000; i++) writeFileSync(`${spool}/${1_600_000_000 + i}-x.ndjson`, "");
      front.rule = () => new Response("", { status: 503 });
      expect((await push(spool, event("sh_bound_ms", 1))).exitCode).toBe(1);
      const files = readdirSync(spool).toSorted();
      expect([files.length, files[0]]).toEqual([1_000, "1600000001-x.ndjson"]);
    });

    test("has 15 lines", () => {
      const body = snippet("sh").split("weir_push() (\n")[1]!.split("\n)")[0]!;
      expect(body.split("\n").length).toBeLessThanOrEqual(15);
    });
  });

  /** Two attempts fail; the third is stored, with the same key. Then a refused push. */
  const checkProgram = async (program: string[], metric: string, cwd: string) => {
    let requests = 0;
    front.rule = () => {
      requests++;
      if (requests === 1) return new Response("", { status: 503 });
      return requests === 2 ? "lose answer" : "pass";
    };
    const stored = await run([...program, front.url, `${metric}-1`, event(metric, 7)], {}, "", cwd);
    expect(stored).toEqual({ exitCode: 0, output: "stored\n" });
    expect(await rows(`SELECT value FROM ${metric}`)).toEqual([[7]]);
    expect(front.seen.map(({ key, status }) => [key, status])).toEqual([
      [`${metric}-1`, 503],
      [`${metric}-1`, "lost"],
      [`${metric}-1`, 200],
    ]);
    front.rule = () => new Response("", { status: 401 });
    const refused = await run([...program, front.url, `${metric}-2`, event(metric, 8)], {}, "", cwd);
    expect(refused.output).toMatch(/^(the gateway refused the events:|refused with) 401/);
  };

  const go = tool("go");
  test.skipIf(go.path === undefined)(
    `the function in Go sends until it is stored${go.note}`,
    async () => {
      const folder = temporaryFolder();
      const imports = ["bytes", "context", "fmt", "math/rand", "net/http", "os", "time"];
      writeFileSync(
        `${folder}/main.go`,
        `package main
import (${imports.map((name) => `"${name}"`).join("; ")})
${snippet("go")}
func main() {
	if err := Push(context.Background(), os.Args[1], os.Args[2], []byte(os.Args[3])); err != nil {
		fmt.Println(err)
	} else {
		fmt.Println("stored")
	}
}
`,
      );
      const env = {
        GO111MODULE: "off",
        GOCACHE: `${folder}/cache`,
        GOPATH: `${folder}/path`,
        CGO_ENABLED: "0",
      };
      const built = await run([go.path!, "build", "-o", "push", "main.go"], env, "", folder);
      expect(built).toEqual({ exitCode: 0, output: "" });
      await checkProgram([`${folder}/push`], "go_ms", folder);
      // Go may compile its standard library first.
    },
    600_000,
  );

  const rustc = tool("rustc");
  test.skipIf(rustc.path === undefined)(
    `the functions in Rust send until it is stored${rustc.note}`,
    async () => {
      const folder = temporaryFolder();
      writeFileSync(
        `${folder}/push.rs`,
        `use std::{collections::hash_map::RandomState, hash::{BuildHasher, Hasher}, io::{Read, Write}};
use std::{net::TcpStream, thread::sleep, time::Duration};
${snippet("rust")}
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match push(arguments[1].trim_start_matches("http://"), &arguments[2], &arguments[3]) {
        Ok(()) => println!("stored"),
        Err(error) => println!("{error}"),
    }
}
`,
      );
      const built = await run([rustc.path!, "--edition", "2021", "-o", "push", "push.rs"], {}, "", folder);
      expect(built).toEqual({ exitCode: 0, output: "" });
      await checkProgram([`${folder}/push`], "rust_ms", folder);
    },
  );
});
