/** The setting `forward`: defaults, errors, the example of the document, and that no secret is printed. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatSetting, loadConfig } from "../../../src/config/config.ts";

const load = (toml: string) =>
  loadConfig(["--config=/weir.toml"], {}, (path) => (path === "/weir.toml" ? toml : undefined));
const destinationOf = (lines: string) => load(`[[forward]]\n${lines}`).forward[0]!;
const VM = 'name = "vm"\ntype = "remote_write"\nurl = "http://127.0.0.1:8428/api/v1/write"\n';

test("reads the example of the document", () => {
  const text = readFileSync(join(import.meta.dir, "../../../src/forward/README.md"), "utf8");
  const example = /```toml\n([\s\S]*?)```/.exec(text)![1]!;
  const { forward, externalLabels } = load(example);
  expect(forward.map(({ name, target: { type } }) => `${name}=${type}`)).toEqual([
    "cluster=remote_write",
    "hub=weir",
    "backend=otlp",
    "search=elasticsearch",
    "files=ndjson",
  ]);
  expect(externalLabels).toEqual(["site=berlin"]);
});

test("has defaults", () => {
  expect(destinationOf(VM)).toEqual({
    name: "vm",
    matchers: [],
    relabel: [],
    labels: {},
    order: "newest-first",
    backfill: false,
    batchMs: 1_000,
    bytesPerSecond: 0,
    target: {
      type: "remote_write",
      url: { text: "http://127.0.0.1:8428/api/v1/write" },
      authorization: undefined,
      tls: undefined,
      headers: [],
      timeoutMs: 30_000,
      version: 1,
      compression: "snappy",
      shards: 4,
      samplesPerRequest: 10_000,
      rawEvents: false,
    },
  });
});

test("reads relabelling with Prometheus's defaults", () => {
  const { relabel } = destinationOf(
    `${VM}[[forward.relabel_configs]]\nsource_labels = ["__name__"]\nregex = "go_.*"\naction = "drop"\n` +
      `[[forward.relabel_configs]]\ntarget_label = "site"\nreplacement = "x"\n`,
  );
  expect(relabel).toEqual([
    {
      sourceLabels: ["__name__"],
      separator: ";",
      regex: "go_.*",
      modulus: 0,
      targetLabel: "",
      replacement: "$1",
      action: "drop",
    },
    {
      sourceLabels: [],
      separator: ";",
      regex: "(.*)",
      modulus: 0,
      targetLabel: "site",
      replacement: "x",
      action: "replace",
    },
  ]);
});

// One line a case: the table, and the error.
const WRONG: readonly (readonly [string, string])[] = [
  ['type = "weir"', "name of forward in /weir.toml (number 1) is missing"],
  ['name = "a/b"\ntype = "weir"', 'name of forward in /weir.toml ("a/b") is "a/b", expected 1 to 64 letters'],
  ['name = "a"\ntype = "kafka"', "expected one of remote_write, otlp, weir, datadog, elasticsearch, ndjson"],
  ['name = "a"\ntype = "weir"', 'url of forward in /weir.toml ("a") is missing'],
  [`${VM}shards = 0`, 'shards of forward in /weir.toml ("vm") is 0, expected a number from 1 to 64'],
  [`${VM}version = 3`, "is 3, expected 1 or 2"],
  [`${VM}order = "random"`, "expected one of newest-first, oldest-first"],
  [`${VM}timeuot = "1s"`, "is not a setting; did you mean timeout?"],
  [`${VM}headers = { Host = "x" }`, 'has "Host", expected a header that Weir does not set itself'],
  [`${VM}matchers = ["a"]`, 'matchers of forward in /weir.toml ("vm") is invalid'],
  [`${VM}[[forward.relabel_configs]]\nregex = "("\ntarget_label = "a"`, 'is "(", which is invalid'],
  [`${VM}[[forward.relabel_configs]]\naction = "hashmod"\ntarget_label = "a"`, "modulus of"],
  [`${VM}[[forward.relabel_configs]]\naction = "labeldrop"\nsource_labels = ["a"]`, "which has only regex"],
  [`${VM}[[forward.relabel_configs]]\naction = "replace"`, "target_label of"],
  [
    'name = "e"\ntype = "elasticsearch"\nurl = "http://h"\nindex = "A"',
    'is "A", expected lower case letters',
  ],
  [
    'name = "e"\ntype = "elasticsearch"\nurl = "http://h"\napi_key = "k"\nbearer_token = "t"',
    'api_key of forward in /weir.toml ("e") is given beside other credentials',
  ],
  ['name = "d"\ntype = "datadog"\nurl = "http://h"\nas = "traces"', "expected one of series, logs"],
  [
    'name = "o"\ntype = "otlp"\nurl = "http://h"\nresource_attributes = { "a" = "" }',
    'resource_attributes of forward in /weir.toml ("o") has "" for "a"',
  ],
  ['name = "f"\ntype = "ndjson"\npath = "a.json"', 'is "a.json", expected an absolute path'],
];
for (const [lines, error] of WRONG) {
  test(`rejects ${JSON.stringify(lines.replace(VM, "").split("\n").join(" "))}`, () => {
    expect(() => destinationOf(lines)).toThrow(error);
  });
}

test("rejects two destinations with one name", () => {
  expect(() => load(`[[forward]]\n${VM}[[forward]]\n${VM}`)).toThrow('two tables with the name "vm"');
});

test("a gateway as a destination needs no path", () => {
  const urlOf = (url: string) => {
    const [destination] = load(`[[forward]]\nname = "a"\ntype = "weir"\nurl = "${url}"\n`).forward;
    return (destination!.target as { url: unknown }).url;
  };
  expect(urlOf("http://hub:9091")).toEqual({ text: "http://hub:9091/api/v1/push" });
  expect(urlOf("http://hub:9091/?key=a")).toEqual({ text: "http://hub:9091/api/v1/push?key=a" });
  expect(urlOf("http://proxy/weir/api/v1/push")).toEqual({ text: "http://proxy/weir/api/v1/push" });
});

test("prints no secret", () => {
  const config = load(
    `[[forward]]\nname = "a"\ntype = "weir"\nurl = "https://hub.example.org/api/v1/push?key=secret1"\nbearer_token = "secret2"\nheaders = { "x-key" = "secret3" }\n`,
  );
  const text = formatSetting(config, "forward");
  expect(text).toContain("a=weir:https://hub.example.org");
  expect(text).not.toMatch(/secret[123]/);
});
