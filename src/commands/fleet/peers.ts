/**
 * The gateways of a fleet: who they are, what they are called, and a request to all of them at once. A gateway that does not
 * answer in time fails alone.
 */
import { readFileSync } from "node:fs";
import { withoutPassword } from "../../config/scrape-jobs.ts";
import type { PeerAnswer } from "../../query/fleet/fleet-answers.ts";
import { accepted, gatewayAt, type Send, Unreachable } from "../client.ts";
import { faultText, type Io, UsageError } from "../command.ts";

/** The options of a command that asks a fleet. */
export const peerOptions = {
  peers: { type: "string", multiple: true },
  "peers-file": { type: "string" },
  "timeout-ms": { type: "string" },
  ca: { type: "string" },
} as const;

export const peerHelp = `  --peers LIST       the gateways: [NAME=]URL, with commas between them; repeatable (variable WEIR_PEERS)
  --peers-file FILE  one gateway per line: [NAME=]URL [TOKEN-FILE]. Text after # is a comment
  --timeout-ms N     how long each gateway may take for its answer; default: 30000
  --ca FILE          with https: trusts the certificates of this file in PEM (variable WEIR_CA)`;

/** A gateway with an answer to one question. */
export interface Peer {
  /** Its name in results. */
  readonly name: string;
  /** Its address without secrets. */
  readonly url: string;
  readonly send: Send;
}

export interface PeerValues {
  readonly peers?: readonly string[];
  readonly "peers-file"?: string;
  readonly ca?: string;
}

interface Address {
  readonly name?: string;
  readonly url: string;
  readonly tokenFile?: string;
}

/** Gateways that are asked at once. */
const AT_ONCE = 64;
const PEERS_MAX = 10_000;
const NAMED = /^([A-Za-z0-9][A-Za-z0-9_.-]*)=(.+)$/;

/**
 * The gateways of the arguments. Those without a name get their external labels as their name, or their host.
 *
 * @throws UsageError
 */
export async function readPeers(values: PeerValues, io: Io, timeoutMs: number): Promise<readonly Peer[]> {
  const addresses = addressesOf(values, io);
  const given = addresses.map(({ name, url, tokenFile }) => ({
    name,
    url: withoutPassword(url),
    host: hostOf(url),
    send: gatewayAt(url, io, values.ca, undefined, () =>
      tokenFile === undefined ? io.env.WEIR_TOKEN || undefined : tokenOf(tokenFile),
    ),
  }));
  const named = await eachAtOnce(given, async (peer) => {
    const name = peer.name ?? (await labelsOf(peer.send, timeoutMs)) ?? peer.host;
    return { ...peer, name };
  });
  // Two gateways of one name could not be told apart.
  return named.map(({ name, host, url, send }) => {
    const isShared = named.filter((other) => other.name === name).length > 1;
    return { name: isShared ? `${name} (${host})` : name, url, send };
  });
}

function addressesOf(values: PeerValues, io: Io): readonly Address[] {
  const listed =
    values.peers ?? (values["peers-file"] === undefined && io.env.WEIR_PEERS ? [io.env.WEIR_PEERS] : []);
  const addresses = listed
    .flatMap((text) => text.split(","))
    .map((text) => text.trim())
    .filter((text) => text !== "")
    .map((text) => addressOf(text, "--peers"));
  const path = values["peers-file"];
  if (path !== undefined) {
    const text = io.readFile(path);
    if (text === undefined) throw new UsageError(`There is no file ${JSON.stringify(path)} (--peers-file).`);
    for (const [at, line] of text.split("\n").entries()) {
      const [address, tokenFile, ...more] = line
        .replace(/(^|\s)#.*$/, "")
        .trim()
        .split(/\s+/);
      if (address === undefined || address === "") continue;
      if (more.length > 0)
        throw new UsageError(
          `${path}:${at + 1} has ${JSON.stringify(more[0])}, expected [NAME=]URL [TOKEN-FILE].`,
        );
      addresses.push({ ...addressOf(address, `${path}:${at + 1}`), tokenFile });
    }
  }
  if (addresses.length === 0)
    throw new UsageError(
      "Give the gateways, such as --peers berlin=http://10.0.0.1:9091,paris=http://10.0.0.2:9091.",
    );
  if (addresses.length > PEERS_MAX)
    throw new UsageError(`${addresses.length} gateways are given, expected at most ${PEERS_MAX}.`);
  const seen = new Set<string>();
  for (const { name } of addresses) {
    if (name !== undefined && seen.has(name))
      throw new UsageError(`Two gateways have the name ${JSON.stringify(name)}, expected different names.`);
    if (name !== undefined) seen.add(name);
  }
  return addresses;
}

function addressOf(text: string, where: string): Address {
  const [, name, rest = text] = NAMED.exec(text) ?? [];
  const url = /^([a-z][a-z0-9+.-]*:\/\/|unix:)/i.test(rest) ? rest : `http://${rest}`;
  if (!url.startsWith("unix:") && !/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new UsageError(
      `${where} has ${JSON.stringify(withoutPassword(text))}, expected [NAME=]URL such as berlin=http://10.0.0.1:9091.`,
    );
  }
  return { name, url };
}

/** The host and the port of an address, without its user and password, or the path of a Unix socket. */
function hostOf(url: string): string {
  return URL.parse(url)?.host || url.replace(/^unix:/, "");
}

function tokenOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new UsageError(
      `The token file ${JSON.stringify(path)} cannot be read: ${(error as Error).message}.`,
    );
  }
}

/** The external labels of a gateway as a name: their values, such as `berlin`, or `eu/berlin`. Undefined if it has none. */
async function labelsOf(send: Send, timeoutMs: number): Promise<string | undefined> {
  try {
    const answer = await within(timeoutMs, async () => {
      const response = await accepted(await send("/api/v1/status/flags", { timeoutMs }));
      return (await response.json()) as { data?: Readonly<Record<string, string>> };
    });
    const labels = answer.data?.["external-labels"] ?? "";
    const values = labels.split(",").map((label) => label.slice(label.indexOf("=") + 1));
    return values.join("/") || undefined;
  } catch {
    // The question itself says why.
    return undefined;
  }
}

/** Asks all gateways at once. The answers are in their order. */
export async function askAll<Answer>(
  peers: readonly Peer[],
  timeoutMs: number,
  ask: (send: Send) => Promise<Answer>,
): Promise<readonly PeerAnswer<Answer>[]> {
  return await eachAtOnce(peers, async (peer): Promise<PeerAnswer<Answer>> => {
    try {
      const send: Send = (path, options) => peer.send(path, { timeoutMs, ...options });
      return { peer, answer: await within(timeoutMs, () => ask(send)) };
    } catch (error) {
      // Advice about arguments is that of commands for one gateway.
      const text = error instanceof Unreachable ? error.fault : faultText(error);
      return { peer, error: text.split("\n", 1)[0]! };
    }
  });
}

/** The result of some work. Throws if it takes longer. */
async function within<Result>(timeoutMs: number, work: () => Promise<Result>): Promise<Result> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new PeerLate(timeoutMs)), timeoutMs);
  try {
    return await Promise.race([work(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

class PeerLate extends Error {
  override readonly name = "PeerLate";

  constructor(timeoutMs: number) {
    super(`The gateway did not answer within ${timeoutMs} ms.`);
  }
}

async function eachAtOnce<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, lane));
  return results;
}
