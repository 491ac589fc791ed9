/**
 * The sources of settings: arguments, variables, and weir.toml. Each source returns the unparsed values, with
 * the name that the user gave, so that an error can quote it. src/config/config.ts ranks the sources.
 */
import { quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import { toml } from "../program/deferred-libraries.ts";
import { withoutPassword } from "./scrape-jobs.ts";
import { SettingError } from "./setting-error.ts";
import { isList, type Type } from "./values.ts";

/** The value of one setting in one source. */
export interface Given {
  readonly raw: unknown;
  /** For errors: `--data`, `WEIR_DATA`, `data in weir.toml`. */
  readonly name: string;
  /** For `weir check`. */
  readonly origin: string;
}

/** The part of a setting that a source needs. */
interface Known {
  readonly type: Type;
  readonly alias?: string;
}
type Table = Readonly<Record<string, Known>>;

/** `retentionDays` → `--retention-days` */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `retentionDays` → `WEIR_RETENTION_DAYS` */
export function variableOf(key: string): string {
  return `WEIR_${upperSnake(key)}`;
}

/**
 * An alias is a name from another program. It is accepted exactly as that program spells it
 * (`--metricsRetentionDays`, `metricsRetentionDays=14`), and as Weir's own names are spelled. Its variables
 * have no prefix.
 */
function aliasFlagsOf(alias: string): string[] {
  return [`--${alias}`, flagOf(alias)];
}

function aliasVariablesOf(alias: string): string[] {
  return [alias, upperSnake(alias)];
}

function upperSnake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

interface Flags {
  readonly given: ReadonlyMap<string, Given>;
  readonly configFile?: string;
  /** The arguments that are settings, with their values. */
  readonly taken: readonly string[];
  /** The other arguments. Empty if reading is strict, where they are an error. */
  readonly rest: readonly string[];
}

/**
 * Reads `--key value`, `--key=value`, `--flag`, `--no-flag`. A flag that is given twice is a list, or has
 * its last value, so that the arguments of a wrapper can be overridden. Two spellings of one setting with different
 * values are an error, as they are as variables. `--` ends the settings.
 */
export function flagSettings(table: Table, argv: readonly string[], reading: "strict" | "lenient"): Flags {
  const flags = new Map<string, string>();
  /** `--no-open` sets the flag `--open` to false. */
  const negations = new Map<string, string>();
  for (const [key, { alias, type }] of Object.entries(table)) {
    for (const flag of [flagOf(key), ...(alias === undefined ? [] : aliasFlagsOf(alias))]) {
      flags.set(flag, key);
      if (type.is === "flag") negations.set(flag.replace(/^--/, "--no-"), key);
    }
  }
  const given = new Map<string, Given>();
  /** By setting: the last value of each flag that is a spelling of it. */
  const spellings = new Map<string, Map<string, unknown>>();
  const taken: string[] = [];
  const rest: string[] = [];
  let configFile: string | undefined;

  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index];
    if (argument === "--") {
      rest.push(...argv.slice(index));
      break;
    }
    const flag = /^--[^=]+/.exec(argument)?.[0];
    const key = flag && (flags.get(flag) ?? negations.get(flag));
    if (flag === undefined || (key === undefined && flag !== "--config")) {
      if (reading === "strict") throw unknownSetting(argument, flag, [...flags.keys(), "--config"]);
      rest.push(argument);
      continue;
    }
    const isFlag = key !== undefined && table[key].type.is === "flag";
    const isNegated = isFlag && !flags.has(flag);
    let value = argument === flag ? undefined : argument.slice(flag.length + 1);
    if (isNegated && value !== undefined)
      throw new SettingError(`${flag} takes no value, but was given ${quote(value)}.`);
    taken.push(argument);
    if (!isFlag && value === undefined) {
      index++;
      value = argv[index];
      if (value === undefined) throw new SettingError(`${flag} needs a value after it.`);
      taken.push(value);
    }
    const raw = value ?? !isNegated;

    if (key === undefined) configFile = String(raw);
    else {
      const before = given.get(key);
      const list =
        isList(table[key].type) && before !== undefined ? [...(before.raw as string[]), raw] : [raw];
      given.set(key, { raw: isList(table[key].type) ? list : raw, name: flag, origin: flag });
      if (table[key].alias === undefined) continue;
      spellings.getOrInsertComputed(key, () => new Map()).set(flag, raw);
    }
  }
  for (const values of spellings.values()) sole([...values.keys()], (flag) => values.get(flag));
  return { given, configFile, taken, rest };
}

function unknownSetting(argument: string, flag: string | undefined, flags: readonly string[]): SettingError {
  if (flag === undefined)
    return new SettingError(
      `Unexpected argument ${quote(withoutPassword(argument))}; settings begin with "--".`,
    );
  const near = nearest(flag, flags);
  return new SettingError(
    `Unknown setting ${quote(flag)}${near === undefined ? "." : `; did you mean ${near}?`}`,
  );
}

/**
 * Reads the variables. An unknown WEIR_… is only a warning: container platforms set variables of their own (a
 * service with the name weir gets WEIR_PORT), and commands have some too. An empty variable counts as not set.
 */
export function variableSettings(
  table: Table,
  env: Readonly<Record<string, string | undefined>>,
): { given: ReadonlyMap<string, Given>; unknownVariables: readonly string[] } {
  const given = new Map<string, Given>();
  const known = new Set([
    ...["WEIR_CONFIG", "WEIR_URL", "WEIR_TOKEN", "WEIR_ADMIN_TOKEN"],
    ...["WEIR_CA", "WEIR_CLIENT_CERT", "WEIR_CLIENT_KEY"],
  ]);
  for (const [key, { alias }] of Object.entries(table)) {
    const variable = variableOf(key);
    known.add(variable);
    const names = alias === undefined ? [variable] : [variable, ...aliasVariablesOf(alias)];
    const set = names.filter((name) => (env[name] ?? "") !== "");
    const name = sole(set, (each) => env[each]);
    if (name !== undefined) given.set(key, { raw: env[name], name, origin: name });
  }
  const unknownVariables = Object.keys(env)
    .filter((name) => name.startsWith("WEIR_") && !known.has(name))
    .map((name) => {
      const near = nearest(name, known);
      return near === undefined ? name : `${name} (did you mean ${near}?)`;
    });
  return { given, unknownVariables };
}

/**
 * The first of the names that is set. Several names with equal values count as one. Different values are an
 * error.
 */
function sole(names: readonly string[], read: (name: string) => unknown): string | undefined {
  const [first] = names;
  const other = names.find((name) => read(name) !== read(first));
  if (other !== undefined) {
    throw new SettingError(
      `${first} is ${quote(read(first))} and ${other} is ${quote(read(other))}, but they are the same setting: give only one of them.`,
    );
  }
  return first;
}

/**
 * Reads the requested file, or ./weir.toml if it exists. Keys are flat, and spelled as settings. Those of the archive can be in a
 * table: `[archive] to` is `archiveTo`.
 */
export function tomlSettings(
  table: Table,
  path: string | undefined,
  readFile: (path: string) => string | undefined,
): ReadonlyMap<string, Given> {
  const file = path ?? "weir.toml";
  const text = readFile(file);
  const given = new Map<string, Given>();
  if (text === undefined) {
    if (path !== undefined) throw new SettingError(`There is no configuration file ${quote(path)}.`);
    return given;
  }
  const root = flat(parseToml(text, file), file);
  const aliases = new Map(
    Object.entries(table).flatMap(([key, { alias }]) => (alias === undefined ? [] : [[alias, key]])),
  );
  for (const name of Object.keys(root)) {
    if (Object.hasOwn(table, name) || aliases.has(name)) continue;
    const near = nearest(name, [...Object.keys(table), ...aliases.keys()]);
    const hint = near === undefined ? "." : `; did you mean ${near}?`;
    throw new SettingError(`Unknown setting ${quote(name)} in ${file}${hint}`);
  }
  for (const [key, { alias }] of Object.entries(table)) {
    const names = (alias === undefined ? [key] : [key, alias]).filter((name) => Object.hasOwn(root, name));
    const name = sole(names, (each) => root[each]);
    if (name !== undefined) given.set(key, { raw: root[name], name: `${name} in ${file}`, origin: file });
  }
  return given;
}

/** Tables that contain settings, whose names begin with that of the table. */
const TABLES = ["archive"];

function flat(root: Readonly<Record<string, unknown>>, file: string): Readonly<Record<string, unknown>> {
  const settings = { ...root };
  for (const table of TABLES) {
    const keys = settings[table];
    if (typeof keys !== "object" || keys === null || Array.isArray(keys)) continue;
    delete settings[table];
    for (const [key, value] of Object.entries(keys)) {
      const name = `${table}${key.slice(0, 1).toUpperCase()}${key.slice(1)}`;
      if (Object.hasOwn(root, name))
        throw new SettingError(
          `${name} and ${key} of [${table}] in ${file} are the same setting: give only one of them.`,
        );
      settings[name] = value;
    }
  }
  return settings;
}

function parseToml(text: string, file: string): Readonly<Record<string, unknown>> {
  try {
    return toml().parse(text);
  } catch (error) {
    if (!(error instanceof toml().TomlError)) throw error;
    const [first] = error.message.split("\n");
    throw new SettingError(`${file} is not TOML at line ${error.line}, column ${error.column}: ${first}`);
  }
}
