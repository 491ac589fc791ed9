/**
 * The setting `upstream`: a URL, or the table `[upstream]` of weir.toml with the keys of a destination's server
 * (src/query/upstream/README.md). Secrets are never printed.
 */
import { UPSTREAM_JOINS, UPSTREAM_PROTOCOLS, type Upstream } from "../../model/forwarding/upstream.ts";
import { SettingError } from "../setting-error.ts";
import { isTable, SettingTable } from "../setting-table.ts";
import { readServer } from "./destinations.ts";

/** A person waits for the answer, which has what is stored here without the upstream. */
const TIMEOUT_MS = 5_000;

/**
 * Reads the upstream. There is none, or one.
 *
 * @param name the name of the setting in errors
 * @throws SettingError
 */
export function readUpstream(raw: unknown, name: string): Upstream[] {
  if (raw === "") return [];
  const given = typeof raw === "string" ? { url: raw } : raw;
  if (!isTable(given))
    throw new SettingError(
      `${name} is neither a URL nor a table [upstream] in weir.toml, expected one of them.`,
    );
  const table = new SettingTable(given, name);
  const upstream: Upstream = {
    ...readServer(table, TIMEOUT_MS),
    protocol: table.has("protocol") ? table.word("protocol", UPSTREAM_PROTOCOLS) : "auto",
    join: table.has("join") ? table.word("join", UPSTREAM_JOINS) : "own",
  };
  table.end();
  return [upstream];
}

/** The upstream for people, without secrets. */
export function formatUpstream([upstream]: readonly Upstream[]): string {
  if (upstream === undefined) return "";
  const { url } = upstream;
  return "file" in url ? url.file : (URL.parse(url.text)?.origin ?? "");
}
