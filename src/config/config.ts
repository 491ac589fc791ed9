/**
 * The settings in effect. Flags take precedence over variables, variables over weir.toml, and the file over the
 * defaults of src/config/settings.ts, which lists all settings.
 *
 * This module reads nothing itself: it gets arguments, variables and a function that reads files, and returns a
 * `Config` or throws a `SettingError`.
 */
import { join } from "node:path";
import { quote } from "../model/errors.ts";
import { readArchivePlace } from "../model/forwarding/archive-place.ts";
import { nodeNet } from "../program/deferred-libraries.ts";
import { SettingError } from "./setting-error.ts";
import { SETTINGS, type Setting } from "./settings.ts";
import { flagOf, flagSettings, type Given, tomlSettings, variableOf, variableSettings } from "./sources.ts";
import { formatListen, formatValue, type Listen, readValue, type Value, type ValueOf } from "./values.ts";

export { SettingError } from "./setting-error.ts";

export type SettingKey = keyof typeof SETTINGS;

/** The settings in effect. Durations are in milliseconds and sizes in bytes, as the names say. */
export type Config = { readonly [Key in SettingKey]: ValueOf<(typeof SETTINGS)[Key]["type"]> };

/** The named settings alone, so that a part of the gateway gets only those that it declares. */
export function pickSettings<Key extends SettingKey>(
  config: Config,
  ...keys: readonly Key[]
): Pick<Config, Key> {
  return Object.fromEntries(keys.map((key) => [key, config[key]])) as Pick<Config, Key>;
}

/** The labels that identify this gateway in other systems, by name. */
export function externalLabels({
  externalLabels: given,
}: Pick<Config, "externalLabels">): Record<string, string> {
  return Object.fromEntries(
    given.map((each): [string, string] => {
      const at = each.indexOf("=");
      return [each.slice(0, at), each.slice(at + 1)];
    }),
  );
}

/** The source of a value, for people: `--data`, `WEIR_DATA`, `weir.toml`, `default`. */
type Origin = string;

export interface Resolved {
  readonly config: Config;
  readonly origins: Readonly<Record<SettingKey, Origin>>;
  /**
   * Variables that begin with WEIR_ and are not settings, with the nearest setting. They cause a warning, see
   * below.
   */
  readonly unknownVariables: readonly string[];
}

const KEYS = Object.keys(SETTINGS) as SettingKey[];

/** A configuration keeps the sources of its values under this key, for the list of the settings in effect. */
const ORIGINS = Symbol("origins");

/**
 * The settings in effect, for a command whose arguments are all settings. Throws `SettingError` for an unknown
 * flag or key, an invalid value, or settings that contradict each other.
 */
export function loadConfig(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string | undefined,
): Config {
  return resolveSettings(argv, env, readFile).config;
}

/** As `loadConfig`, and also returns the source of each value. */
export function resolveSettings(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string | undefined,
): Resolved {
  const table: Readonly<Record<string, Setting>> = SETTINGS;
  const flags = flagSettings(table, argv, "strict");
  const { given: variables, unknownVariables } = variableSettings(table, env);
  const file = tomlSettings(table, flags.configFile ?? env.WEIR_CONFIG, readFile);

  const values: Partial<Record<SettingKey, Value>> = {};
  const origins: Partial<Record<SettingKey, Origin>> = {};
  for (const key of KEYS) {
    const given: Given | undefined = flags.given.get(key) ?? variables.get(key) ?? file.get(key);
    values[key] =
      given === undefined ? SETTINGS[key].default : readValue(SETTINGS[key].type, given.raw, given.name, env);
    origins[key] = given === undefined ? "default" : given.origin;
  }
  const config = values as Config;
  check(config);
  Object.defineProperty(config, ORIGINS, { value: origins });
  return { config, origins: origins as Record<SettingKey, Origin>, unknownVariables };
}

/** The format of the log that an argument or a variable names, also if other settings are invalid. Undefined if none does. */
export function givenLogFormat(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Config["logFormat"] | undefined {
  const { type } = SETTINGS.logFormat;
  // With a value at the end: a flag without one is no error here.
  const { given } = flagSettings({ logFormat: { type } }, [...argv, ""], "lenient");
  const format = given.get("logFormat")?.raw ?? env[variableOf("logFormat")];
  return type.of.find((known) => known === format);
}

/**
 * Splits the arguments of a command that has flags of its own: the settings (with their values), for
 * `loadConfig`, and the others in their order.
 */
export function takeSettings(argv: readonly string[]): {
  settings: readonly string[];
  rest: readonly string[];
} {
  const { taken, rest } = flagSettings(SETTINGS, argv, "lenient");
  return { settings: taken, rest };
}

/**
 * The longest path of the data folder. A path may have 4,095 bytes on Linux, and names of up to 140 are
 * appended.
 */
const DATA_BYTES_MAX = 3_900;

/** Why a path cannot be the data folder, before anything creates it. Undefined if it can. */
export function dataPathFault(path: string): string | undefined {
  if (path.includes("?"))
    return `data is ${JSON.stringify(path)}, expected a path without "?": the database engine reads the rest after a "?" as options.`;
  const bytes = Buffer.byteLength(path);
  if (bytes > DATA_BYTES_MAX) return `data is a path of ${bytes} bytes, expected at most ${DATA_BYTES_MAX}.`;
  return undefined;
}

/** The settings that are addresses of protocols with tokens, and of those without. */
const GUARDED_LISTEN_KEYS = [
  "listen",
  "otlpListen",
  "otlpGrpcListen",
] as const satisfies readonly SettingKey[];
const PLAIN_LISTEN_KEYS = ["statsdListen", "graphiteListen"] as const satisfies readonly SettingKey[];

/** The file of the tokens, and the file of their last uses. */
export function tokenPaths({ data, tokenFile }: Pick<Config, "data" | "tokenFile">): {
  readonly tokens: string;
  readonly uses: string;
} {
  return { tokens: tokenFile || join(data, "tokens.json"), uses: join(data, "token-uses.json") };
}

/** The first address that needs a token, with its setting: other machines may reach it. Undefined if there is none. */
export function addressThatNeedsToken(
  config: Config,
): { readonly key: SettingKey; readonly flag: string; readonly address: string } | undefined {
  if (config.open) return undefined;
  for (const key of GUARDED_LISTEN_KEYS) {
    const address = config[key].find((listen) => !isLocal(listen));
    if (address !== undefined) return { key, flag: flagOf(key), address: formatListen(address) };
  }
  return undefined;
}

/**
 * What decides about requests before their handlers do.
 *
 * @param machine the name of this machine
 */
export function gateSettings(config: Config, machine: string) {
  const addresses = serverAddresses(config);
  const ownNames = [
    machine,
    `${machine.split(".", 1)[0]}.local`,
    ...addresses.flatMap(({ hostname }) => hostname ?? []),
  ];
  return {
    ...pickSettings(config, "hosts", "corsOrigins", "trustedProxies"),
    ...pickSettings(config, "limitToken", "limitAddress", "queriesPerTokenMax"),
    ownNames,
    isShared: addresses.some((listen) => !isLocal(listen)),
  };
}

/** The addresses that the servers of requests listen on. */
export function serverAddresses(config: Config): readonly Listen[] {
  return GUARDED_LISTEN_KEYS.flatMap((key) => config[key]);
}

const HOST_NAME = /^(?:\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)$/i;

/** The spelling of an origin as browsers send it. Undefined if it is none. */
function originOf(text: string): string | undefined {
  if (/^https?:/i.test(text)) return URL.parse(text)?.origin;
  // Extensions of browsers and programs with a browser inside have schemes of their own.
  return /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+$/.test(text) ? text : undefined;
}

/** Whether a text is an IP address, a network of them, or `unix`. */
function isProxy(text: string): boolean {
  const [address = "", bits, ...more] = text.split("/");
  const { isIP } = nodeNet();
  const bitsMax = isIP(address) === 4 ? 32 : 128;
  const isNetwork =
    bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= bitsMax);
  return text === "unix" || (isIP(address) !== 0 && isNetwork && more.length === 0);
}

/** Checks what a type of a setting does not, and what involves several settings. */
function check(config: Config): void {
  const fault = dataPathFault(config.data);
  if (fault !== undefined) throw new SettingError(fault);
  const host = config.hosts.find((name) => !HOST_NAME.test(name));
  if (host !== undefined) {
    throw new SettingError(
      `hosts has ${quote(host)}, expected names without a port, such as weir.example.com, *.example.com or *.`,
    );
  }
  const proxy = config.trustedProxies.find((each) => !isProxy(each));
  if (proxy !== undefined) {
    throw new SettingError(
      `trustedProxies has ${quote(proxy)}, expected addresses or networks such as 192.0.2.7 or 10.0.0.0/8, or unix.`,
    );
  }
  const origin = config.corsOrigins.find((each) => each !== "*" && originOf(each) !== each);
  if (origin !== undefined) {
    throw new SettingError(
      `corsOrigins has ${quote(origin)}, expected origins as browsers send them, such as https://app.example.com, or *.`,
    );
  }
  const place = config.archiveTo === "" ? {} : readArchivePlace(config.archiveTo);
  if ("fault" in place) throw new SettingError(`archiveTo ${place.fault}.`);
  const label = config.externalLabels.find((each) => !/^[a-zA-Z_][a-zA-Z0-9_]*=./.test(each));
  if (label !== undefined)
    throw new SettingError(`externalLabels has ${quote(label)}, expected labels such as site=berlin.`);
  const { externalUrl } = config;
  if (externalUrl !== "" && !/^https?:$/.test(URL.parse(externalUrl)?.protocol ?? "")) {
    throw new SettingError(
      `externalUrl is ${quote(externalUrl)}, expected an address such as https://weir.example.com.`,
    );
  }
  if ((config.tlsCert === "") !== (config.tlsKey === "")) {
    const [given, missing] = config.tlsCert === "" ? ["tlsKey", "tlsCert"] : ["tlsCert", "tlsKey"];
    throw new SettingError(`${given} is given without ${missing}, expected both: a certificate and its key.`);
  }
  for (const key of PLAIN_LISTEN_KEYS) {
    for (const listen of config[key]) {
      if (config.open || isLocal(listen)) continue;
      throw new SettingError(
        `${key} is "${formatListen(listen)}", which other machines may reach, and this protocol has no tokens, so ` +
          "everyone who reaches it can write: give --open to allow this, or listen on 127.0.0.1.",
      );
    }
  }
  if (config.inflatedBytesMax < config.bodyBytesMax) {
    throw new SettingError(
      `inflatedBytesMax is ${config.inflatedBytesMax}, expected at least bodyBytesMax (${config.bodyBytesMax}).`,
    );
  }
}

/** True for loopback addresses and unix sockets. */
function isLocal(listen: Listen): boolean {
  const { hostname } = listen;
  return (
    hostname === undefined ||
    hostname === "localhost" ||
    hostname === "::1" ||
    /^127(\.[0-9]{1,3}){3}$/.test(hostname)
  );
}

/** A setting, described for people. */
interface SettingDescription {
  readonly key: SettingKey;
  readonly flag: string;
  readonly variable: string;
  /** The default as on a command line: `1h`, `32MiB`. */
  readonly defaultText: string;
  readonly what: string;
  readonly why: string;
  readonly alias?: string;
  /** The words that it accepts. Empty if others are accepted too. */
  readonly choices: readonly string[];
  /** Whether the flag stands alone, with or without `no-` before its name. */
  readonly isSwitch: boolean;
}

/** Every setting in the order of the table, for README.md beside this file, `weir check` and `weir serve --help`. */
export function describeSettings(): readonly SettingDescription[] {
  return KEYS.map((key) => {
    const setting: Setting = SETTINGS[key];
    return {
      key,
      flag: flagOf(key),
      variable: variableOf(key),
      defaultText: formatValue(setting.type, setting.default),
      what: setting.what,
      why: setting.why,
      alias: setting.alias,
      choices: setting.type.is === "choice" || setting.type.is === "choices" ? setting.type.of : [],
      isSwitch: setting.type.is === "flag",
    };
  });
}

/** The text of every setting on a command line, by its flag without the dashes. */
export function settingTexts(config: Config): Record<string, string> {
  return Object.fromEntries(KEYS.map((key) => [flagOf(key).slice(2), formatSetting(config, key)]));
}

/** A setting in effect, as texts. */
export interface ListedSetting {
  /** The key in weir.toml. */
  readonly name: string;
  readonly flag: string;
  readonly variable: string;
  readonly value: string;
  readonly default: string;
  /** `--data`, `WEIR_DATA`, the path of weir.toml, or `default`. */
  readonly origin: string;
  readonly what: string;
  readonly why: string;
}

/** All settings in effect, in the order of the table. */
export function listSettings(
  config: Config & { readonly [ORIGINS]?: Partial<Record<SettingKey, Origin>> },
): ListedSetting[] {
  const origins = config[ORIGINS];
  return describeSettings().map(({ key, flag, variable, defaultText, what, why }) => ({
    name: key,
    flag,
    variable,
    value: formatSetting(config, key),
    default: defaultText,
    origin: origins?.[key] ?? "default",
    what,
    why,
  }));
}

/** The value of one setting as on a command line. */
export function formatSetting(config: Config, key: SettingKey): string {
  return formatValue(SETTINGS[key].type, config[key]);
}
