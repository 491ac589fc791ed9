/** `weir rules check`: reads rule files as the gateway does, and prints what is wrong with them. */
import { findRuleFiles, problemText, readRuleFiles } from "../../rules/files/find-rules.ts";
import { parseTemplate } from "../../rules/templates/template.ts";
import { exitCode, type Io, UsageError } from "../command.ts";
import { withStatementCheck } from "./memory-statements.ts";

interface CheckOptions {
  /** Whether warnings fail the check too. */
  readonly strict: boolean;
}

/** Checks the files of paths and patterns, one after the other. Resolves to the exit code. */
export async function checkRuleFiles(
  patterns: readonly string[],
  { strict }: CheckOptions,
  io: Pick<Io, "stdout" | "stderr">,
): Promise<number> {
  if (patterns.length === 0) throw new UsageError("Give a rule file, such as weir rules check rules/*.yml.");
  const files = await findRuleFiles(patterns);
  if (files.length === 0)
    throw new UsageError(`${patterns.map((each) => JSON.stringify(each)).join(", ")} matches no file.`);
  let hasFailed = false;
  // A name with brackets that is a file is taken as it is.
  const all = await withStatementCheck((checkStatement) =>
    readRuleFiles(files, { parseTemplate, checkStatement }),
  );
  for (const file of files) {
    const of = <Each extends { readonly file: string }>(each: readonly Each[]) =>
      each.filter((one) => one.file === file);
    const [groups, errors, warnings] = [of(all.groups), of(all.errors), of(all.warnings)];
    for (const problem of errors) await io.stderr.write(`${problemText(problem)}\n`);
    for (const { message, ...place } of warnings)
      await io.stderr.write(`${problemText({ ...place, message: `warning: ${message}` })}\n`);
    const rules = groups.reduce((count, group) => count + group.rules.length, 0);
    const isBad = errors.length > 0 || (strict && warnings.length > 0);
    hasFailed ||= isBad;
    const found = isBad
      ? counted(errors.length + (strict ? warnings.length : 0), "error")
      : `${counted(rules, "rule")} in ${counted(groups.length, "group")}`;
    await io.stdout.write(`${file}: ${found}\n`);
  }
  return hasFailed ? exitCode.failure : exitCode.ok;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
