/**
 * `weir token create|list|revoke`: the tokens of a gateway, in the file of its data folder or of `--token-file`. A running
 * gateway reads a change within a second. A new token is printed once: the file has only its hash.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type AccessToken, faultOf, SCOPES, TOKEN_NAME } from "../../access/access-token.ts";
import type { LimitRates } from "../../access/limits.ts";
import { EXPIRES_MS_MAX, newToken, revokeToken, storeToken } from "../../access/token-changes.ts";
import { readTokenFile } from "../../access/token-file.ts";
import { readTokenUses } from "../../access/token-uses.ts";
import { loadConfig, SettingError, takeSettings, tokenPaths } from "../../config/config.ts";
import { SETTINGS } from "../../config/settings.ts";
import { formatValue, readValue } from "../../config/values.ts";
import { openDataFolder } from "../../data-folder.ts";
import { parseDurationMs } from "../../model/duration.ts";
import { alignedRows } from "../../query/formats/aligned-text.ts";
import { oneOf, pairs, readArguments } from "../arguments.ts";
import { type Command, exitCode, type Io, UsageError } from "../command.ts";

const CREATE_OPTIONS = {
  name: { type: "string" },
  scope: { type: "string", multiple: true, default: [] as string[] },
  label: { type: "string", multiple: true, default: [] as string[] },
  expires: { type: "string" },
  limit: { type: "string", multiple: true, default: [] as string[] },
} as const;

const ACTIONS = ["create", "list", "revoke"] as const;

/** Where the tokens are. */
type Paths = ReturnType<typeof tokenPaths>;

export const command: Command = {
  name: "token",
  summary: "creates, lists and revokes the tokens that requests need",
  usage: `Usage: weir token create --name NAME --scope SCOPE… [--label NAME=VALUE]… [--expires DURATION]
                         [--limit LIMITS] [FILE]
       weir token list [FILE]
       weir token revoke NAME [FILE]

As soon as a gateway has a token, every request needs one, except those about health. A client sends it as
"Authorization: Bearer TOKEN", or as the password of basic authentication.

  TOKEN=$(weir token create --name ci --scope push --label job=ci --expires 90d)
  weir token create --name prometheus --scope scrape,push --data /var/lib/weir

"create" prints the token, once: the file has only its SHA-256. The commands work while the gateway runs, which
reads a change within a second, and while it does not.

  --name NAME        up to 64 letters, digits, and characters of "._-"
  --scope SCOPE      push (stores samples), read (PromQL, summaries), sql (SQL, exports), scrape (/metrics,
                     /federate), alerts (sends alerts, as a Prometheus does to an Alertmanager), admin (deletes,
                     copies, stops, adds silences). Can be given more than once, or with commas
  --label NAME=VALUE
                     is added to everything that the token pushes. A sample that has another value is rejected.
                     The token reads and changes only series that have the labels. Can be given more than once
  --expires DURATION
                     the token expires after this time: 90d, 12h. Without it, it does not expire
  --limit LIMITS     its own limits per second, which replace those of the setting limitToken:
                     requests=100,samples=50000,bytes=10MiB,scrapes=1

FILE is where the tokens are:

  --data DIR         tokens.json in this data folder (variable WEIR_DATA; default ./data)
  --token-file FILE  this file (variable WEIR_TOKEN_FILE)`,
  async run(argv, io) {
    const { settings, rest } = takeSettings(argv);
    const config = loadConfig(settings, io.env, io.readFile);
    const paths = tokenPaths(config);
    const [action, ...others] = rest;
    if (action === undefined) throw new UsageError(`expected one of ${ACTIONS.join(", ")}.`);
    switch (oneOf("The action", action, ACTIONS)) {
      case "create": {
        const wanted = tokenOf(others);
        if (config.tokenFile === "") openDataFolder(config.data);
        else mkdirSync(dirname(paths.tokens), { recursive: true, mode: 0o700 });
        const code = await create(wanted, paths, io);
        await warnOfAttributes(wanted.token, config.attributes, io);
        return code;
      }
      case "list":
        readArguments(others, {}, false);
        return await list(paths, io);
      case "revoke":
        return await revoke(others, paths, io);
    }
  },
};

/** A new token as arguments describe it, and its text. */
function tokenOf(argv: readonly string[]): { readonly token: AccessToken; readonly text: string } {
  const { values } = readArguments(argv, CREATE_OPTIONS, false);
  const { name } = values;
  if (name === undefined) throw new UsageError("--name is missing: it names the token in lists.");
  if (!TOKEN_NAME.test(name)) {
    throw new UsageError(
      `--name is ${JSON.stringify(name)}, expected up to 64 letters, digits, and characters of "._-".`,
    );
  }
  const words = values.scope.flatMap((each) => each.split(",")).map((each) => each.trim());
  const created = newToken(
    {
      name,
      scopes: words.map((word) => oneOf("--scope", word, SCOPES)),
      labels: labelsOf(values.label),
      expiresInMs: values.expires === undefined ? undefined : durationOf(values.expires),
      limits: values.limit.length === 0 ? undefined : limitsOf(values.limit),
    },
    Date.now(),
  );
  const fault = faultOf(created.token);
  if (fault !== undefined) throw new UsageError(`The token ${fault}.`);
  return created;
}

async function create(
  { token, text }: ReturnType<typeof tokenOf>,
  { tokens: path }: Paths,
  io: Io,
): Promise<number> {
  await storeToken(path, token);
  await io.stdout.write(`${text}\n`);
  await io.stderr.write(`The token is not shown again. Its hash is in ${path}.\n`);
  return exitCode.ok;
}

/** Warns of labels that are no labels of series: the token reads nothing of events. */
async function warnOfAttributes(
  { name, labels }: AccessToken,
  attributes: readonly string[],
  io: Io,
): Promise<void> {
  for (const label of labels.keys()) {
    if (!attributes.includes(label)) continue;
    await io.stderr.write(
      `Warning: the label ${JSON.stringify(label)} is an attribute of events (setting attributes), not a label of series. ` +
        `What the token pushes gets it, but the token ${JSON.stringify(name)} cannot read these events.\n`,
    );
  }
}

/** Rejects a second value of a label: a token with two would have the last one only. */
function labelsOf(words: readonly string[]): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  for (const [label, value] of pairs("--label", words)) {
    if (labels.has(label))
      throw new UsageError(`--label has ${JSON.stringify(label)} twice, expected one value for each label.`);
    labels.set(label, value);
  }
  return labels;
}

function limitsOf(words: readonly string[]): LimitRates {
  try {
    return readValue(SETTINGS.limitToken.type, words, "--limit") as LimitRates;
  } catch (error) {
    throw error instanceof SettingError ? new UsageError(error.message) : error;
  }
}

function durationOf(text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms > 0 && ms <= EXPIRES_MS_MAX) return ms;
  throw new UsageError(
    `--expires is ${JSON.stringify(text)}, expected a duration such as 90d or 12h, up to 100 years.`,
  );
}

async function list({ tokens: path, uses: usesPath }: Paths, io: Io): Promise<number> {
  const tokens = readTokenFile(path) ?? [];
  if (tokens.length === 0) {
    await io.stderr.write(`There is no token in ${path}.\n`);
    return exitCode.ok;
  }
  const uses = readTokenUses(usesPath);
  const nowMs = Date.now();
  const rows = tokens.map(({ id, name, scopes, labels, createdMs, expiresMs, limits = {} }) => {
    const usedMs = uses.get(id);
    const expires = expiresMs === undefined ? "never" : timeText(expiresMs);
    return [
      name,
      scopes.join(","),
      [...labels].map(([label, value]) => `${label}=${value}`).join(",") || "none",
      formatValue(SETTINGS.limitToken.type, limits) || "none",
      timeText(createdMs),
      expiresMs !== undefined && expiresMs <= nowMs ? `${expires} (expired)` : expires,
      usedMs === undefined ? "never" : timeText(usedMs),
    ];
  });
  await io.stdout.write(
    alignedRows([["NAME", "SCOPES", "LABELS", "LIMITS", "CREATED", "EXPIRES", "LAST USED"], ...rows]),
  );
  return exitCode.ok;
}

async function revoke(argv: readonly string[], { tokens: path }: Paths, io: Io): Promise<number> {
  const { positionals } = readArguments(argv, {}, true);
  const [name, ...others] = positionals;
  if (name === undefined || others.length > 0) throw new UsageError("expected the name of one token.");
  const left = await revokeToken(path, name);
  const last = left === 0 ? " It was the last one: a gateway on loopback is open now." : "";
  await io.stderr.write(`The token ${JSON.stringify(name)} is revoked.${last}\n`);
  return exitCode.ok;
}

/** A time of day in UTC, to the second. */
function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
