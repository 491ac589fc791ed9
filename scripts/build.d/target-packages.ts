/** The packages of the npm registry that differ by system and processor, for the systems that the one file is built for. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };

export const TARGETS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"] as const;
export type Target = (typeof TARGETS)[number];

const VERSIONS = {
  "@oven/bun": manifest.packageManager.replace("bun@", ""),
  "@duckdb/node-bindings": manifest.dependencies["@duckdb/node-bindings"],
};

/** The system that this process runs on. */
export function targetOfMachine(): Target {
  const target = TARGETS.find((each) => each === `${process.platform}-${process.arch}`);
  if (target === undefined) throw new Error(`there is no build for ${process.platform}-${process.arch}`);
  return target;
}

/**
 * The folder of a package for a system, such as `@duckdb/node-bindings-linux-arm64`: the installed one, or one from the npm
 * registry, kept in node_modules/.targets.
 */
export function foreignPackage(root: string, name: keyof typeof VERSIONS, target: Target): string {
  const full = `${name}-${name === "@oven/bun" ? target.replace("arm64", "aarch64") : target}`;
  const version = VERSIONS[name];
  const installed = [
    join(root, "node_modules", full),
    join(root, `node_modules/.bun-${version}/node_modules`, full),
    join(root, "node_modules/.targets", `${full}-${version}`),
  ].find((folder) => existsSync(join(folder, "package.json")));
  return installed ?? install(root, full, version);
}

/** Without scripts, and although the package is for another system. */
function install(root: string, name: string, version: string): string {
  const targets = join(root, "node_modules/.targets");
  mkdirSync(join(targets, name, ".."), { recursive: true });
  const fresh = mkdtempSync(join(targets, "fresh-"));
  try {
    process.stderr.write(`scripts/build: installing ${name} ${version} from the npm registry\n`);
    const options = [
      "--no-save",
      "--no-package-lock",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--force",
    ];
    const npm = ["npm", "install", "--prefix", fresh, ...options, "--loglevel=error", `${name}@${version}`];
    const { success } = Bun.spawnSync(npm, { stdout: "ignore", stderr: "inherit" });
    const folder = join(fresh, "node_modules", name);
    if (!success || readdirSync(folder).length === 0)
      throw new Error(`npm could not install ${name}@${version}`);
    const kept = join(targets, `${name}-${version}`);
    rmSync(kept, { recursive: true, force: true });
    try {
      renameSync(folder, kept);
    } catch {
      cpSync(folder, kept, { recursive: true });
    }
    return kept;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
