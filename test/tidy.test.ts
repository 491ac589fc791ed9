/**
 * The conventions of this repository, checked by a test: the direction of imports, complete documents, and no unused
 * files.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describeSettings } from "../src/config/config.ts";
import { SETTINGS } from "../src/config/settings.ts";
import { RECEIVERS } from "../src/receive/receivers.ts";

const ROOT = join(import.meta.dir, "..");

const glob = (pattern: string) => [...new Bun.Glob(pattern).scanSync({ cwd: ROOT, dot: true })].sort();
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** The files of the project: those that git tracks, or all if this is not a checkout. */
function projectFiles(): string[] {
  const git = existsSync(join(ROOT, ".git"))
    ? Bun.spawnSync(["git", "ls-files", "-z"], { cwd: ROOT })
    : undefined;
  const listed = git?.success ? git.stdout.toString().split("\0").filter(Boolean) : [];
  const files = listed.length > 0 ? listed : glob("{src,sql,test,scripts,.ci}/**/*").concat(glob("*"));
  return files.filter((file) => existsSync(join(ROOT, file)));
}

/** The modules that a module imports, types included, as written. */
function importsOf(path: string): string[] {
  const code = read(path).replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
  const statements = code.matchAll(/^\s*(?:import|export)\b[^;"']*?\bfrom\s*["']([^"']+)["']/gm);
  const bare = code.matchAll(/^\s*import\s*["']([^"']+)["']/gm);
  const calls = code.matchAll(/\b(?:import|require)\(\s*["']([^"']+)["']/g);
  return [...statements, ...bare, ...calls].map((match) => match[1]);
}

/** The room of a path under src: its folder, or the module itself at the top. */
function roomOf(path: string): string {
  const [, first, ...rest] = path.split("/");
  return rest.length > 0 ? first : first.replace(/\.ts$/, "");
}

const modules = glob("src/**/*.{ts,tsx}");
const sources = new Map(modules.map((path) => [path, read(path)]));

describe("imports", () => {
  /** A room may import from the rooms of the tiers before its own, never from a sibling. */
  const tiers = [
    ["wire", "store", "exposition", "access", "web-config", "line-files"],
    ["series", "supervision", "dashboards"],
    ["ingest", "query", "line-formats"],
    ["sampler", "scrape", "rules", "forward", "archive", "tail"],
    ["http"],
    ["receive"],
    [
      "data-folder",
      "entrance",
      "open-queries",
      "open-rules",
      "open-notifications",
      "open-tail",
      "open-sampler",
      "open-cells",
      "open-decode-workers",
      "open-forwarding",
      "open-archive",
    ],
    ["connect-rooms"],
    ["gateway"],
    ["commands"],
    ["main"],
  ];
  /** The vocabulary, the log, and the files of the program, which every room may import. */
  const vocabulary = ["model", "log", "program"];
  const tierOf = (room: string) =>
    vocabulary.includes(room) ? 0 : 1 + tiers.findIndex((tier) => tier.includes(room));

  test("every room has a tier", () => {
    const rooms = new Set(modules.map(roomOf));
    const placed = new Set([...vocabulary, ...tiers.flat(), "config", "client", "ui"]);
    expect([...rooms].filter((room) => !placed.has(room))).toEqual([]);
  });

  test("go one way", () => {
    const wrong: string[] = [];
    for (const path of modules) {
      for (const specifier of importsOf(path).filter((each) => each.startsWith("."))) {
        const target = normalize(join(dirname(path), specifier));
        if (!target.startsWith("src/")) continue;
        const from = roomOf(path);
        const to = roomOf(target);
        const allowed =
          from === to ||
          (to === "config"
            ? [
                "commands",
                "main",
                "gateway",
                "connect-rooms",
                "data-folder",
                "entrance",
                "open-queries",
                "open-rules",
                "open-tail",
                "open-sampler",
                "open-cells",
                "open-decode-workers",
                "open-notifications",
                "open-forwarding",
                "open-archive",
              ].includes(from)
            : from === "config"
              ? vocabulary.includes(to)
              : from === "client" || from === "ui"
                ? false
                : (tierOf(from) === 0 && tierOf(to) === 0) || tierOf(to) < tierOf(from));
        if (!allowed) wrong.push(`${path} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("name existing files with their extensions", () => {
    const wrong = [...modules, ...glob("test/**/*.ts"), ...glob("scripts/**/*.ts")].flatMap((path) =>
      importsOf(path)
        .filter((specifier) => specifier.startsWith("."))
        .filter((specifier) => !existsSync(join(ROOT, dirname(path), specifier)))
        .map((specifier) => `${path} imports ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  test("of DuckDB are in the driver, and one module of it opens files", () => {
    const importers = modules.filter((path) => /(?:from |\()"@duckdb\//.test(sources.get(path)!));
    expect(importers).toEqual([
      "src/store/engine/driver/cell-readers.ts",
      "src/store/engine/driver/cell-types.ts",
      "src/store/engine/driver/engine-values.ts",
      "src/store/engine/driver/rare-cells.ts",
      "src/store/engine/duckdb.ts",
    ]);
    const openers = importers.filter((path) => /\bopen\(|DuckDBInstance/.test(sources.get(path)!));
    expect(openers).toEqual(["src/store/engine/duckdb.ts"]);
  });

  test("of a Worker do not reach the driver: only one thread may open the store", async () => {
    // Imports of types lead to the store, and do not run. A bundle has what runs.
    const workers = [
      ["src/query/promql/worker/promql-worker.ts", "histogram_quantile"],
      ["src/receive/decoding/decode-worker.ts", "metric_name"],
    ] as const;
    for (const [path, part] of workers) {
      const { success, outputs } = await Bun.build({ entrypoints: [join(ROOT, path)], target: "bun" });
      expect(success).toBe(true);
      const code = await outputs[0]!.text();
      expect(code).toContain(part);
      expect(code).not.toContain("@duckdb");
    }
  });

  test("no code matches the texts of the engine's errors outside of src/store/engine/", () => {
    const classes =
      "Binder|Parser|Catalog|Conversion|Invalid Input|Out of Range|Constraint|Permission|INTERRUPT|FATAL|IO";
    const texts = new RegExp(
      `\\b(?:${classes}|Not implemented|Out of Memory|TransactionContext) Error\\b|error_message`,
    );
    const guilty = modules
      // The answers of InfluxDB 3 have a field of the same name.
      .filter(
        (path) => !path.startsWith("src/store/engine/") && path !== "src/receive/influx/write-answers.ts",
      )
      .filter((path) => texts.test((sources.get(path) ?? "").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")));
    expect(guilty).toEqual([]);
  });

  test("no code names a protocol outside of receive/", () => {
    const declared = RECEIVERS.map(({ protocol }) => protocol.name.replaceAll("_", "_?"));
    // "events" and "scrape" are also words of their own.
    const words = ["events", "scrape"];
    const names = new RegExp(declared.filter((name) => !words.includes(name)).join("|"), "i");
    // The settings, the metrics of the gateway, hints for people, formats of files, and what is sent name them.
    const connected = [
      ...["src/config/", "src/model/counters.ts", "src/http/body-hint.ts", "src/line-formats/"],
      ...["src/forward/", "src/model/forwarding/"],
    ];
    const guilty = modules
      .filter((path) => !path.startsWith("src/receive/") && !connected.some((each) => path.startsWith(each)))
      .filter((path) => names.test((sources.get(path) ?? "").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")));
    expect(guilty).toEqual([]);
  });

  test("of a protocol's folder are in that folder, the table of receivers, and the threads that decode alone", () => {
    const isDecoding = (path: string) => path.startsWith("src/receive/decoding/");
    const importers = modules.filter((path) => !isDecoding(path));
    const guilty = importers.flatMap((path) =>
      importsOf(path)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => normalize(join(dirname(path), specifier)))
        .filter((target) => /^src\/receive\/[^/]+\//.test(target) && !isDecoding(target))
        .filter((target) => !path.startsWith(`src/receive/${target.split("/")[2]}/`))
        .map((target) => `${path} imports ${target}`),
    );
    expect(guilty.filter((each) => !each.startsWith("src/receive/receivers.ts "))).toEqual([]);
  });

  test("each protocol is one row of the table of receivers", () => {
    const folders = glob("src/receive/*/*-receiver.ts").map((path) => path.split("/")[2]);
    const rows = RECEIVERS.map(({ protocol }) => protocol.name.replaceAll("_", "-"));
    expect(rows.toSorted()).toEqual(folders.toSorted());
    expect(new Set(rows).size).toBe(rows.length);
  });

  test("that a setting can expose are those that exposeProtocols offers", () => {
    const offered: readonly string[] = SETTINGS.exposeProtocols.type.of;
    const exposable = RECEIVERS.filter(({ protocol }) => protocol.exposed === "by setting");
    expect([...offered].toSorted()).toEqual(exposable.map(({ protocol }) => protocol.name).toSorted());
  });

  test("of packages are declared in package.json", () => {
    const { dependencies } = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
    const packages = modules
      .flatMap(importsOf)
      .filter((specifier) => !/^(\.|node:|bun$|bun:)/.test(specifier));
    const named = packages.map((specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier);
    expect(named.filter((name) => !Object.hasOwn(dependencies, name))).toEqual([]);
  });
});

describe("modules", () => {
  test("begin with a comment that describes them", () => {
    const all = [...modules, ...glob("test/**/*.ts"), ...glob("scripts/**/*.ts"), ...glob("sql/**/*.sql")];
    const bare = all.filter((path) => !/^(#!.*\n)?(\/\*\*|\/\/ |-- )/.test(read(path)));
    expect(bare).toEqual([]);
    const scripts = glob("scripts/*").filter((path) => !path.endsWith(".ts"));
    expect(scripts.filter((path) => !/^(#!.*\n)?# [A-Z]/.test(read(path)))).toEqual([]);
  });

  test("are no longer than 600 lines", () => {
    const long = modules.filter((path) => read(path).split("\n").length > 600);
    expect(long).toEqual([]);
  });

  test("export types with names of their own", () => {
    const exported = modules.flatMap((path) =>
      [
        ...(sources.get(path) ?? "").matchAll(/^export (?:abstract )?(?:class|interface|type|enum) (\w+)/gm),
      ].map(([, name]) => ({ name, path })),
    );
    const byName = Map.groupBy(exported, ({ name }) => name);
    expect([...byName.values()].filter((each) => each.length > 1).flat()).toEqual([]);
  });

  test("have names of their own, at most 14 to a folder", () => {
    const byName = Map.groupBy(modules, (path) => path.split("/").at(-1));
    expect([...byName.values()].filter((paths) => paths.length > 1)).toEqual([]);
    const byFolder = Map.groupBy(modules, (path) => dirname(path));
    expect([...byFolder].filter(([, paths]) => paths.length > 14).map(([folder]) => folder)).toEqual([]);
  });

  test("hold no state that two gateways in one process would share", () => {
    /** Filled once, a bounded cache of a pure function, or about the process itself. */
    const allowed = [
      // Keyed by requests and by answers, each of which belongs to one gateway.
      "src/http/asked-query.ts texts",
      "src/http/stream.ts streams",
      // The turns of the thread that all gateways of a process share.
      "src/line-files/fingerprint.ts newlines",
      "src/model/memory/compact-map.ts last",
      "src/model/memory/compact-map.ts lists",
      "src/model/tasks/time-slices.ts last",
      "src/query/promql/parse/functions.ts table",
      "src/query/sandbox/allowed-functions.ts functions",
      "src/query/sandbox/allowed-functions.ts tableFunctions",
      "src/receive/events/event-fields.ts remembered",
      "src/receive/pushgateway/groups/own-texts.ts texts",
      "src/store/engine/duckdb.ts chunkColumns",
      "src/store/engine/duckdb.ts filler",
      // A process may open a file once.
      "src/store/engine/duckdb.ts opened",
      "src/store/statements.ts texts",
    ];
    // The page is alone in its tab.
    const served = modules.filter((path) => !path.startsWith("src/ui/"));
    const found = served.flatMap((path) => {
      const code = sources.get(path) ?? "";
      const variables = code.matchAll(/^(?:export )?(?:let|var) (\w+)/gm);
      // Collections that begin empty and may change, and instances of classes.
      const constants = [...code.matchAll(/^(?:export )?const (\w+)(?:: ([^=]+))? =\s+([^;]*)/gm)].filter(
        ([, , type = "", value]) =>
          !/^(?:Readonly|readonly |Labels$)/.test(type) &&
          /^(?:new (?:\w+)(?:<.*>)?\(\)|\[\]|\{\}|new (?!Map|Set|RegExp|\w+Array|Text(?:De|En)coder)\w+)/.test(
            value!,
          ),
      );
      return [...variables, ...constants].map(([, name]) => `${path} ${name}`);
    });
    expect(found.toSorted()).toEqual(allowed);
  });

  test("of the vocabulary declare records that only their maker can change", () => {
    const writable = modules
      .filter((path) => path.startsWith("src/model/"))
      .flatMap((path) => {
        const code = (sources.get(path) ?? "").replace(/\/\*[\s\S]*?\*\//g, "");
        const records = [...code.matchAll(/^export interface (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)];
        return records.flatMap(([, name, fields = ""]) =>
          fields
            .split("\n")
            .filter((line) => /^ {2}\w+\??:/.test(line) || /: (?:Uint8|Uint32|Float64)Array/.test(line))
            .map((line) => `${path} ${name}: ${line.trim()}`),
        );
      });
    expect(writable).toEqual([]);
  });

  test("one module quotes identifiers, one reads the environment", () => {
    // CSV doubles quotation marks too.
    const quoting = modules.filter((path) => sources.get(path)?.includes(`replaceAll('"', '""')`));
    expect(
      quoting.filter((path) => path !== "src/query/formats/csv.ts" && !path.startsWith("src/ui/")),
    ).toEqual(["src/store/statements.ts"]);
    // Passing the environment to a child process, and looking up a program on PATH, reads no setting.
    const settings = /\b(?:process|Bun)\.env(?!\.PATH\b)(?<!\.\.\.process\.env)\b/;
    const environment = modules.filter((path) => settings.test(sources.get(path) ?? ""));
    expect(environment).toEqual(["src/main.ts"]);
  });
});

describe("tests", () => {
  const tests = glob("test/**/*.test.ts");
  const nameOf = (path: string) =>
    path
      .split("/")
      .at(-1)
      ?.replace(/(\.test)?\.tsx?$/, "");

  test("have names of their own", () => {
    const byName = Map.groupBy(tests, nameOf);
    expect([...byName.values()].filter((paths) => paths.length > 1)).toEqual([]);
  });

  test("that draw their inputs at random draw the same in each run", async () => {
    const drawing = await Promise.all(
      tests.map(async (path) => ({ path, text: await Bun.file(path).text() })),
    );
    const seedless = drawing.filter(
      ({ text }) => /^import .* from "fast-check"/m.test(text) && !/\bruns\(|\bseed: \d/.test(text),
    );
    expect(seedless.map(({ path }) => path)).toEqual([]);
  });

  test("stand in the folder of what they test", () => {
    // Besides src: scripts, SQL, fixtures, and tests that cross several rooms.
    const others = ["scripts", "scripts/deploy", "sql/summaries", "fixtures", "system"];
    const folders = new Set(modules.map((path) => dirname(path).replace(/^src\/?/, "")).concat(others));
    const folderOf = (path: string) => dirname(path).replace(/^test\/?/, "");
    expect(tests.filter((path) => !folders.has(folderOf(path)))).toEqual([]);
    const moduleOf = new Map(modules.map((path) => [nameOf(path), path]));
    const elsewhere = tests.flatMap((path) => {
      const tested = moduleOf.get(nameOf(path));
      return tested === undefined || dirname(tested) === dirname(path.replace(/^test/, "src"))
        ? []
        : [`${path} does not stand in the folder of ${tested}`];
    });
    expect(elsewhere).toEqual([]);
  });
});

describe("settings", () => {
  const SETTINGS_DOCUMENT = "src/config/README.md";
  const settings = describeSettings();

  test("the table of settings lists what the code reads", () => {
    const table = /<!-- settings -->([\s\S]*)<!-- \/settings -->/.exec(read(SETTINGS_DOCUMENT))?.[1] ?? "";
    const rows = table.matchAll(/^\| `(\w+)`.*$/gm);
    const want = settings.map(
      ({ key, flag, variable, defaultText, what, why }) =>
        `| \`${key}\` | \`${flag}\` | \`${variable}\` | ${defaultText === "" ? "none" : `\`${defaultText}\``} | ${what} ${why} |`,
    );
    expect([...rows].map(([row]) => row)).toEqual(want);
  });

  test("have documented aliases", () => {
    const document = read(SETTINGS_DOCUMENT);
    const aliases = settings.flatMap(({ alias }) => alias ?? []);
    expect(aliases.filter((alias) => !document.includes(`\`${alias}\``))).toEqual([]);
  });

  test("are read by the code", () => {
    const readers = modules.filter((path) => roomOf(path) !== "config").map((path) => sources.get(path));
    const text = readers.join("\n");
    const unread = settings.filter(({ key }) => !new RegExp(`\\b${key}\\b`).test(text)).map(({ key }) => key);
    expect(unread).toEqual([]);
  });
});

describe("documents", () => {
  test("link to files and headings that exist", () => {
    // Bun's glob finds nothing for braces within braces.
    const linking = ["*.md", ".github/**/*.md", "{src,sql,scripts}/**/README.md"].flatMap(glob);
    expect(linking.length).toBeGreaterThan(10);
    const broken = linking.flatMap((path) =>
      [...read(path).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)/g)]
        .filter(([, file, heading]) => {
          const target = file === "" ? path : join(dirname(path), file);
          if (!existsSync(join(ROOT, target))) return true;
          return heading !== undefined && !headingsOf(target).includes(heading);
        })
        .map(([link]) => `${path}: ${link.slice(1)}`),
    );
    expect(broken).toEqual([]);
  });

  /** The headings of a document, as links spell them. */
  function headingsOf(path: string): string[] {
    const headings = [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, text]) => text);
    return headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    );
  }
});

describe("files", () => {
  test("every statement in sql/ is used", () => {
    // sql/schema and sql/summaries are read whole, as folders.
    const code = [...sources.values()].join("\n");
    // `store/load_${table}` names all that begin so.
    const prefixes = [...code.matchAll(/statement\(`(\w+\/\w+)\$\{/g)].map((match) => match[1]);
    const files = glob("sql/**/*.sql");
    // `{@store/unpacked_blocks}` is a part of another statement.
    const parts = new Set(
      files.flatMap((path) => [...read(path).matchAll(/\{@([\w/]+)\}/g)].map((match) => match[1])),
    );
    const unused = files
      .map((path) => path.slice("sql/".length, -".sql".length))
      .filter((name) => !/^(schema|summaries)\//.test(name) && !parts.has(name))
      .filter((name) => !code.includes(`"${name}"`) && !prefixes.some((prefix) => name.startsWith(prefix)));
    expect(unused).toEqual([]);
  });

  test("do not name a machine's folders or a registry", () => {
    // In parts, so that this file does not match itself.
    const hosts = [
      "registry\\.npm",
      "npmjs\\.(org|com)",
      "yarnpkg\\.com",
      "deb\\.debian",
      "debian\\.org/debian",
    ];
    const folders = ["opt/bun", "root/", "home/[a-z]+/", "work/(main|shared)", "Users/[A-Za-z]"];
    const found = new RegExp(`${hosts.join("|")}|(^|[^\\w.])/(${folders.join("|")})`);
    const guilty = projectFiles()
      .filter((path) => path !== "test/tidy.test.ts" && path !== "LICENSE")
      .filter((path) => found.test(read(path)));
    expect(guilty).toEqual([]);
  });

  test("the lock file contains no addresses", () => {
    expect(read("bun.lock")).not.toMatch(/https?:/);
  });

  test("the pinned Bun is an accepted version, and its types have the same version", () => {
    const manifest = JSON.parse(read("package.json")) as {
      packageManager: string;
      engines: { bun: string };
      devDependencies: Record<string, string>;
    };
    const pinned = manifest.packageManager.replace(/^bun@/, "");
    expect(Bun.semver.satisfies(pinned, manifest.engines.bun)).toBe(true);
    expect(manifest.devDependencies["bun-types"]).toBe(pinned);
  });
});
