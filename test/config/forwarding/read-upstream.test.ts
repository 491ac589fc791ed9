/** The setting `upstream`: a flag or a table, the example of the document, errors, and that no secret is printed. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatSetting, loadConfig } from "../../../src/config/config.ts";

const load = (toml: string) =>
  loadConfig(["--config=/weir.toml"], {}, (path) => (path === "/weir.toml" ? toml : undefined));

test("reads a URL as a flag and as a variable, with its defaults", () => {
  const want = {
    url: { text: "http://127.0.0.1:8428" },
    authorization: undefined,
    tls: undefined,
    headers: [],
    timeoutMs: 5_000,
    protocol: "auto",
    join: "own",
  } as const;
  const none = () => undefined;
  expect(loadConfig(["--upstream", "http://127.0.0.1:8428"], {}, none).upstream).toEqual([want]);
  expect(loadConfig([], { WEIR_UPSTREAM: "http://127.0.0.1:8428" }, none).upstream).toEqual([want]);
  expect(loadConfig([], {}, none).upstream).toEqual([]);
});

test("reads the example of the document", () => {
  const text = readFileSync(join(import.meta.dir, "../../../src/query/upstream/README.md"), "utf8");
  const { upstream, externalLabels } = load(/```toml\n([\s\S]*?)```/.exec(text)![1]!);
  expect(externalLabels).toEqual(["site=berlin"]);
  expect(upstream).toMatchObject([
    {
      url: { text: "https://metrics.example.org/select/0/prometheus" },
      authorization: { is: "header", type: "Bearer", credentials: { file: "/etc/weir/cluster-token" } },
      headers: [["X-Scope-OrgID", "a"]],
      timeoutMs: 5_000,
    },
  ]);
});

test("rejects what it does not know, and quotes no secret", () => {
  const bad = (lines: string, message: RegExp) =>
    expect(() => load(`[upstream]\nurl = "http://127.0.0.1:1"\n${lines}`)).toThrow(message);
  bad('join = "some"', /join of upstream .* is "some", expected one of own, all/);
  bad('protocol = "thanos"', /protocol .* is "thanos", expected one of auto, export, remote_read, query/);
  bad('timeot = "1s"', /timeot .* is not a setting; did you mean timeout\?/);
  expect(() => load('upstream = "metrics.example.org"')).toThrow(/url of upstream .* is not a URL/);
  expect(() => load("upstream = 5")).toThrow(/upstream .* is neither a URL nor a table \[upstream\]/);
  expect(() => load('[upstream]\nurl = "http://u:hunter2@x"')).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining("hunter2") }),
  );
});

test("prints the origin alone", () => {
  const config = load(
    '[upstream]\nurl = "https://a.example.org/path?key=hunter2"\nbearer_token = "swordfish"',
  );
  expect(formatSetting(config, "upstream")).toBe("https://a.example.org");
});
