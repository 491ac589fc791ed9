/** The checks of `weir doctor` that need no gateway: permissions, room on the disk, the clock, free addresses. */
import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { type Config, serverAddresses } from "../../config/config.ts";
import { formatListen } from "../../config/values.ts";
import { isClosedFolder } from "../../data-folder.ts";
import { DAY_MS } from "../../model/duration.ts";
import { shellWord } from "../../model/errors.ts";
import { STORE_FILE } from "../../store/inspection.ts";
import { checkWebConfig } from "../../web-config/live-web-config.ts";
import { WebConfigError } from "../../web-config/web-config.ts";

export interface Finding {
  /** A check that cannot decide is `ok`, and its text says so. */
  readonly state: "ok" | "FAIL";
  readonly text: string;
}

const ok = (text: string): Finding => ({ state: "ok", text });
const fail = (text: string): Finding => ({ state: "FAIL", text });

/** What a store contains. */
export interface Stock {
  readonly days: number;
  readonly newestMs: number | undefined;
  readonly bytes: number;
  /** How far the gateway's clock is ahead of this machine's, in milliseconds. Absent if no gateway runs. */
  readonly clockAheadMs?: number;
}

/** Files of the data folder that nobody else should read: the store's and the tokens'. */
const isPrivate = (name: string) => name.startsWith(STORE_FILE) || name === "tokens.json";

export function checkFolder(data: string): Finding {
  if (isClosedFolder(data))
    return fail(
      `user ${process.getuid?.()} cannot read ${data}: run the command as the user of the gateway, or as root`,
    );
  if (!existsSync(data)) return ok(`${data} does not exist yet; "weir serve" creates it`);
  if (!statSync(data).isDirectory()) return fail(`${data} is not a folder`);
  try {
    accessSync(data, constants.R_OK | constants.W_OK | constants.X_OK);
    const files = readdirSync(data).filter(isPrivate);
    for (const file of files) accessSync(join(data, file), constants.R_OK | constants.W_OK);
    const open = files.find((file) => (statSync(join(data, file)).mode & 0o077) !== 0);
    if (open !== undefined)
      return fail(`other users may read ${join(data, open)}: run "chmod 600 ${shellWord(join(data, open))}"`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail(
      `user ${process.getuid?.()} cannot read and write everything in ${data}, which belongs to user ${statSync(data).uid}: ${reason}`,
    );
  }
  return ok(`this user can read and write ${data}, and no other user can read its files`);
}

/** Whether the certificate, its key and web.yml can be used, and whether clients accept the certificate. */
export function checkCertificate(config: Config, nowMs = Date.now()): Finding {
  try {
    const findings = checkWebConfig(config, nowMs);
    const fault = findings.find(({ state }) => state === "fault");
    if (fault !== undefined) return fail(withoutStop(fault.text));
    const warnings = findings.map(({ text }) => withoutStop(text)).join("; ");
    return ok(
      warnings === "" ? "the certificate and the web configuration can be used" : `warning: ${warnings}`,
    );
  } catch (error) {
    if (!(error instanceof WebConfigError)) throw error;
    return fail(withoutStop(error.message));
  }
}

const withoutStop = (sentence: string) => sentence.replace(/\.$/, "");

/** Room now, and room for the days that will be stored until retention drops as much as is added. */
export function checkSpace(
  { data, diskReserveBytes, retentionDays, retentionBytes }: Config,
  stock: Stock | undefined,
  freeBytes = freeBytesOf(data),
): Finding {
  const free = `${megabytes(freeBytes)} are free`;
  if (freeBytes < diskReserveBytes)
    return fail(`${free}, less than diskReserveBytes (${megabytes(diskReserveBytes)}): pushes are rejected`);
  if (stock === undefined || stock.days < 2)
    return ok(`${free}; no forecast, because less than two days are stored`);
  const { days, bytes } = stock;
  const perDay = bytes / days;
  const limit = retentionBytes > 0 ? Math.max(0, retentionBytes - bytes) : Number.POSITIVE_INFINITY;
  const growth = Math.min(limit, Math.max(0, retentionDays - days) * perDay);
  const forecast = `a day takes ${megabytes(perDay)}, ${days} of ${retentionDays} days are stored`;
  const left = freeBytes - diskReserveBytes;
  if (growth > left)
    return fail(
      `${free}; ${forecast}: the disk is full in ${Math.floor(left / perDay)} days. Lower --retention-days, or give the disk more room`,
    );
  return ok(`${free}; ${forecast}, and ${megabytes(growth)} more will be needed`);
}

function freeBytesOf(data: string): number {
  let folder = resolve(data);
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** More is not a delay of the request. */
const CLOCKS_APART_MS_MAX = 5_000;

/** @param futureMs how far ahead of the clock the gateway accepts samples */
export function checkClock(futureMs: number, stock: Stock | undefined, nowMs = Date.now()): Finding {
  const { newestMs, clockAheadMs = 0 } = stock ?? {};
  if (Math.abs(clockAheadMs) > CLOCKS_APART_MS_MAX)
    return fail(
      `the gateway's clock is ${Math.round(clockAheadMs / 1000)} s ahead of the clock of this machine`,
    );
  if (newestMs === undefined) return ok("no sample to compare the clock with");
  const ageMs = nowMs + clockAheadMs - newestMs;
  if (ageMs < -futureMs)
    return fail(
      `the newest sample (${new Date(newestMs).toISOString()}) is ${duration(-ageMs)} ahead of the clock: the clock is ` +
        "wrong, or was wrong when the sample was stored",
    );
  return ok(`the newest sample is ${duration(Math.max(0, ageMs))} old`);
}

function duration(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 2 * DAY_MS) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / DAY_MS)} days`;
}

/** Whether the TCP addresses of the settings can be listened on. A file of a Unix socket is replaced at a start. */
export async function checkPorts(config: Config): Promise<Finding> {
  const free: string[] = [];
  for (const address of serverAddresses(config)) {
    if (address.path !== undefined) continue;
    const text = formatListen(address);
    const { hostname: host, port } = address;
    const reason = await new Promise<string | undefined>((settle) => {
      const server = createServer();
      server.once("error", (error: Error & { code?: string }) =>
        settle(error.code === "EADDRINUSE" ? "another process listens on it" : error.message),
      );
      server.listen({ host, port, exclusive: true }, () => server.close(() => settle(undefined)));
    });
    if (reason !== undefined) return fail(`cannot listen on ${text}: ${reason}`);
    free.push(text);
  }
  return ok(free.length === 0 ? "no TCP address to listen on" : `free: ${free.join(", ")}`);
}
