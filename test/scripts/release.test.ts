/** What a release consists of: the list of components, and the steps of the workflow. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import manifest from "../../package.json" with { type: "json" };
import { completedBill } from "../../scripts/build.d/bill-of-materials.ts";

const ROOT = join(import.meta.dir, "../..");

const component = (name: string, version: string) => ({
  ...{ "bom-ref": `${name}@${version}`, type: "library", name, version },
  purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
});

test("the list of components has the program, Bun, and the libraries of DuckDB for all systems", () => {
  // As `npm sbom` writes it in a folder with another name.
  const { metadata, components } = completedBill({
    metadata: { component: component("checkout", "0.0.1") },
    components: [
      component("yaml", "2.9.1"),
      component("@duckdb/node-bindings", "1.5.6-r.1"),
      component("@duckdb/node-bindings-linux-x64", "1.5.6-r.1"),
    ],
  });
  expect(metadata.component).toMatchObject({
    ...{ name: "weir", version: manifest.version },
    purl: `pkg:npm/weir@${manifest.version}`,
  });
  expect(components.map(({ purl }) => purl)).toEqual([
    "pkg:npm/%40duckdb/node-bindings@1.5.6-r.1",
    "pkg:npm/%40duckdb/node-bindings-darwin-arm64@1.5.6-r.1",
    "pkg:npm/%40duckdb/node-bindings-darwin-x64@1.5.6-r.1",
    "pkg:npm/%40duckdb/node-bindings-linux-arm64@1.5.6-r.1",
    "pkg:npm/%40duckdb/node-bindings-linux-x64@1.5.6-r.1",
    `pkg:npm/${manifest.packageManager}`,
    "pkg:npm/yaml@2.9.1",
  ]);
});

test("the workflow of a release runs scripts that exist", () => {
  const { jobs } = parse(readFileSync(join(ROOT, ".github/workflows/release.yml"), "utf8")) as {
    jobs: Record<string, { steps: { run?: string }[] }>;
  };
  const commands = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
  const scripts = commands.flatMap((run) => run.match(/(?<![\w/])(?:scripts|\.ci)\/[\w-]+/g) ?? []);
  expect([...new Set(scripts)].toSorted()).toEqual([
    ...[".ci/run", "scripts/build", "scripts/deb", "scripts/pack", "scripts/sbom", "scripts/try-chroot"],
  ]);
  expect(scripts.filter((script) => !existsSync(join(ROOT, script)))).toEqual([]);
});
