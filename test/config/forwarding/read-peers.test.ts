/** The setting `peers`: a list or tables, the example of the document, errors, and that no secret is printed. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatSetting, loadConfig } from "../../../src/config/config.ts";

const load = (toml: string) =>
  loadConfig(["--config=/weir.toml"], {}, (path) => (path === "/weir.toml" ? toml : undefined));

const none = () => undefined;

test("reads a list as a flag and as a variable; the host is the default name", () => {
  const server = { authorization: undefined, tls: undefined, headers: [], timeoutMs: 5_000 };
  const want = [
    { ...server, name: "berlin", url: { text: "http://10.0.0.1:9091" } },
    { ...server, name: "paris-9091", url: { text: "https://paris:9091" } },
    { ...server, name: "rome", url: { text: "http://rome/weir" } },
  ];
  const text = "berlin=10.0.0.1:9091, https://paris:9091, rome=rome/weir";
  expect(loadConfig(["--peers", text], {}, none).peers).toEqual(want);
  expect(loadConfig([], { WEIR_PEERS: text }, none).peers).toEqual(want);
  expect(load(`peers = ["berlin=10.0.0.1:9091", "https://paris:9091,rome=rome/weir"]`).peers).toEqual(want);
  expect(loadConfig([], {}, none).peers).toEqual([]);
  expect(loadConfig(["--peers", ""], {}, none).peers).toEqual([]);
});

test("reads the example of the document", () => {
  const text = readFileSync(join(import.meta.dir, "../../../src/query/fleet/README.md"), "utf8");
  expect(load(/```toml\n([\s\S]*?)```/.exec(text)![1]!).peers).toMatchObject([
    {
      name: "berlin",
      url: { text: "https://berlin.example.org:9091" },
      authorization: { is: "header", type: "Bearer", credentials: { file: "/etc/weir/berlin-token" } },
      timeoutMs: 5_000,
    },
    { name: "paris", timeoutMs: 2_000 },
  ]);
});

test("rejects what it does not know, and quotes no secret", () => {
  const bad = (peers: string, message: RegExp) =>
    expect(() => loadConfig(["--peers", peers], {}, none)).toThrow(message);
  bad("a=http://x,a=http://y", /peers.* has two tables with the name "a"/);
  bad("a b=http://x", /name of .*peers.* is "a b", expected 1 to 64 letters/);
  bad(Array.from({ length: 101 }, (_, at) => `g${at}=x`).join(","), /has 101 gateways, expected at most 100/);
  expect(() => load('[[peers]]\nname = "a"')).toThrow(/url of .*peers.* is missing/);
  expect(() => load('[[peers]]\nname = "a"\nurl = "http://x"\ntimeot = "1s"')).toThrow(
    /timeot .* is not a setting; did you mean timeout\?/,
  );
  bad("a=ftp://x", /url of .*peers.* is not a URL, expected http:/);
  for (const text of ["a=http://u:hunter2@x", "user:hun=ter2@host", "u:hun=ter2@host/x?y=z"])
    expect(() => loadConfig(["--peers", text], {}, none)).toThrow(
      expect.objectContaining({ message: expect.not.stringMatching(/hun|ter2/) }),
    );
});

test("prints the names and the origins alone", () => {
  const config = load(
    '[[peers]]\nname = "a"\nurl = "https://a.example.org/path?key=hunter2"\nbearer_token = "swordfish"',
  );
  expect(formatSetting(config, "peers")).toBe("a=https://a.example.org");
});
