/**
 * Installs the servers of Debian's packages that are compared, for this process alone: packages are downloaded and
 * unpacked into a folder, and none of their services is started. A server that is installed already is used as it is.
 */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** By program: its package. */
const PACKAGES: Readonly<Record<string, string>> = {
  prometheus: "prometheus",
  "victoria-metrics": "victoria-metrics",
  "prometheus-pushgateway": "prometheus-pushgateway",
  influxd: "influxdb",
};

/** Makes the missing programs available on PATH. Says which of them cannot be had. */
export async function installPeers(folder: string, say: (line: string) => void): Promise<void> {
  const bin = join(folder, "usr/bin");
  process.env.PATH = `${process.env.PATH}:${bin}`;
  for (const [name, from] of Object.entries(PACKAGES)) {
    if (Bun.which(name, { PATH: process.env.PATH }) !== null) continue;
    mkdirSync(folder, { recursive: true });
    const isUnpacked = await unpack(from, folder);
    if (!isUnpacked || !existsSync(join(bin, name)))
      say(`${name}: the package ${from} of Debian could not be downloaded; run "apt-get update" first`);
  }
}

/** How dpkg-query names the version. */
const VERSION_FIELD = ["$", "{Version}"].join("");

/** The version of each program that is there: that of its package, or what it says itself. */
export async function versions(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, from] of Object.entries(PACKAGES)) {
    const path = Bun.which(name, { PATH: process.env.PATH });
    if (path === null) continue;
    const texts = [
      await outputOf("dpkg-query", "-W", "-f", VERSION_FIELD, from),
      await outputOf(path, name === "influxd" ? "version" : "--version"),
    ];
    found[name] = texts.flatMap((text) => /\d+\.\d+(?:\.\d+)?/.exec(text)?.[0] ?? [])[0] ?? "unknown";
  }
  return found;
}

async function outputOf(...command: string[]): Promise<string> {
  try {
    const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
    const texts = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return texts.join("\n");
  } catch {
    return "";
  }
}

async function unpack(from: string, folder: string): Promise<boolean> {
  const run = async (...command: string[]) =>
    (await Bun.spawn(command, { cwd: folder, stdout: "ignore", stderr: "ignore" }).exited) === 0;
  if (!(await run("apt-get", "download", from).catch(() => false))) return false;
  const file = readdirSync(folder).find((name) => name.startsWith(`${from}_`) && name.endsWith(".deb"));
  return file !== undefined && (await run("dpkg-deb", "-x", file, "."));
}
