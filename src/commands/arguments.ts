/**
 * Arguments of the commands. parseArgs of node:util reads them, and its errors become
 * `UsageError`.
 */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { UsageError } from "./command.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** Reads options and, if `positionals` is true, other arguments. Throws `UsageError` for an unknown option. */
export function readArguments<const O extends Options>(
  argv: readonly string[],
  options: O,
  positionals: boolean,
) {
  try {
    return parseArgs({ args: joined(argv), options, allowPositionals: positionals, strict: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Node's second sentence explains how to pass a positional that begins with a dash.
    throw new UsageError(error.message.split(". ")[0].replace(/\.?$/, "."));
  }
}

/**
 * Reads arguments whose options all have a value, which may begin with a dash (`--from -6h`). Options that are not in
 * `options` are returned by name, in their order. Throws `UsageError` if a value is missing.
 */
export function readOpenArguments<const O extends Options>(argv: readonly string[], options: O) {
  const args: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const isOption = /^--[^=]+$/.test(argv[index]) && index + 1 < argv.length;
    args.push(isOption ? `${argv[index]}=${argv[++index]}` : argv[index]);
  }
  const { tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  const known: { [Name in keyof O]?: string } = {};
  const others: [string, string][] = [];
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const isKnown = Object.hasOwn(options, name);
    if (!isKnown && !rawName.startsWith("--"))
      throw new UsageError(`Unexpected argument ${JSON.stringify(rawName)}.`);
    if (value === undefined) throw new UsageError(`${rawName} needs a value after it.`);
    if (isKnown) known[name as keyof O] = value;
    else others.push([name, value]);
  }
  return { values: known, others, positionals };
}

/** Turns `--from -24h` into `--from=-24h`, because parseArgs reads an argument that begins with a dash as an option. */
function joined(argv: readonly string[]): string[] {
  const args: string[] = [];
  for (const argument of argv) {
    const before = args.at(-1);
    if (/^-[0-9]/.test(argument) && before !== undefined && /^--[a-z-]+$/.test(before)) {
      args[args.length - 1] = `${before}=${argument}`;
    } else {
      args.push(argument);
    }
  }
  return args;
}

/** Returns the choice that equals the value. Throws `UsageError` if there is none. */
export function oneOf<const C extends string>(flag: string, value: string, choices: readonly C[]): C {
  const choice = choices.find((each) => each === value);
  if (choice === undefined) {
    throw new UsageError(`${flag} is ${JSON.stringify(value)}, expected one of ${choices.join(", ")}.`);
  }
  return choice;
}

/** `k=v` of a repeatable option as entries. */
export function pairs(flag: string, values: readonly string[]): [string, string][] {
  return values.map((each) => {
    const at = each.indexOf("=");
    if (at < 1) throw new UsageError(`${flag} is ${JSON.stringify(each)}, expected NAME=VALUE.`);
    return [each.slice(0, at), each.slice(at + 1)];
  });
}

/** A whole number of at least 1. */
export function countOf(flag: string, value: string): number {
  const count = Number(value);
  if (!/^[0-9]+$/.test(value) || !Number.isSafeInteger(count) || count < 1) {
    throw new UsageError(`${flag} is ${JSON.stringify(value)}, expected a whole number of at least 1.`);
  }
  return count;
}
