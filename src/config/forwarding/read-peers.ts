/**
 * The setting `peers`: a list of `[NAME=]URL`, or tables `[[peers]]` of weir.toml with a name and the keys of a destination's
 * server (src/query/fleet/README.md). Secrets are never printed.
 */
import { quote } from "../../model/errors.ts";
import type { PeerGateway } from "../../model/forwarding/peer.ts";
import { SettingError } from "../setting-error.ts";
import { readNamedTables, type SettingTable } from "../setting-table.ts";
import { readServer } from "./destinations.ts";

/** A person waits for the answer, which has the other gateways without this one. */
const TIMEOUT_MS = 5_000;
/** All are asked at once. */
const PEERS_MAX = 100;
const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
/** A user and a password of a URL are no name: the error would quote them. */
const NAMED = /^([^=/?:@]*)=(.*)$/;
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * Reads the gateways.
 *
 * @param name the name of the setting in errors
 * @throws SettingError
 */
export function readPeers(raw: unknown, name: string): PeerGateway[] {
  const isList =
    typeof raw === "string" || (Array.isArray(raw) && raw.every((each) => typeof each === "string"));
  const given = isList
    ? [raw]
        .flat()
        .flatMap((text) => text.split(","))
        .map((text) => text.trim())
        .filter((text) => text !== "")
        .map(tableOf)
    : raw;
  const peers = readNamedTables(given, name, "[[peers]]", (table) => readPeer(table));
  if (peers.length > PEERS_MAX)
    throw new SettingError(`${name} has ${peers.length} gateways, expected at most ${PEERS_MAX}.`);
  return peers;
}

/** `[NAME=]URL` as a table. The default name is the host. */
function tableOf(text: string): { readonly name: string; readonly url: string } {
  const [, name, rest = text] = NAMED.exec(text) ?? [];
  const url = SCHEME.test(rest) ? rest : `http://${rest}`;
  return { name: name ?? hostOf(url), url };
}

function hostOf(url: string): string {
  return (URL.parse(url)?.host ?? "").replace(/[^A-Za-z0-9_.-]+/g, "-");
}

function readPeer(table: SettingTable): PeerGateway {
  const name = table.text("name");
  if (name === undefined) throw table.fault("name", "is missing");
  if (!NAME.test(name))
    throw table.fault("name", `is ${quote(name)}, expected 1 to 64 letters, digits, "_", "." or "-"`);
  const peer = { name, ...readServer(table, TIMEOUT_MS) };
  table.end();
  return peer;
}

/** The gateways for people, without secrets. */
export function formatPeers(peers: readonly PeerGateway[]): string {
  return peers
    .map(({ name, url }) => `${name}=${"file" in url ? url.file : (URL.parse(url.text)?.origin ?? "")}`)
    .join(",");
}
