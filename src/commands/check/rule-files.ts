/** The rules of files for `weir check --rules`: those with an expression in PromQL, and what is wrong with the others. */
import type { Expr } from "../../query/promql/parse/ast.ts";
import { parse } from "../../query/promql/parse/parse.ts";
import { findRuleFiles, problemText } from "../../rules/files/find-rules.ts";
import { readRuleFile } from "../../rules/files/rule-file.ts";
import { type CheckStatement, statementProblems } from "../../rules/files/rule-statements.ts";
import { parseTemplate } from "../../rules/templates/template.ts";
import { type Io, UsageError } from "../command.ts";
import { withStatementCheck } from "../rules/memory-statements.ts";

/** A rule whose expression is PromQL. */
export interface Rule {
  /** Its place for messages: `FILE: GROUP: NAME`. */
  readonly place: string;
  readonly expression: Expr;
}

interface RuleFile {
  readonly rules: readonly Rule[];
  /** The metrics that its rules record, those of SQL included. */
  readonly records: readonly string[];
  /** The errors of the file, as `FILE:LINE:COLUMN: MESSAGE`. */
  readonly problems: readonly string[];
}

/**
 * The rules of the files that match paths and patterns such as `rules/*.yml`. Each file is read once.
 *
 * @throws UsageError if a pattern matches no file, or a file cannot be read
 */
export async function rulesOfFiles(
  patterns: readonly string[],
  io: Pick<Io, "readFile">,
): Promise<readonly RuleFile[]> {
  return await withStatementCheck(async (checkStatement) => {
    const files = new Map<string, RuleFile>();
    for (const pattern of patterns) {
      const found = await findRuleFiles([pattern]);
      if (found.length === 0) throw noFile(pattern);
      for (const file of found) {
        const text = readText(file, io);
        if (text === undefined) throw noFile(pattern);
        files.set(file, await rulesOf(file, text, checkStatement));
      }
    }
    return [...files.values()];
  });
}

function readText(file: string, io: Pick<Io, "readFile">): string | undefined {
  try {
    return io.readFile(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--rules is ${JSON.stringify(file)}, which cannot be read: ${reason}.`);
  }
}

function noFile(pattern: string): UsageError {
  return new UsageError(`--rules is ${JSON.stringify(pattern)}, which matches no file.`);
}

async function rulesOf(file: string, text: string, check: CheckStatement): Promise<RuleFile> {
  const { groups, errors } = readRuleFile(file, text, { parseTemplate });
  const ofStatements = await statementProblems(groups, check);
  const all = groups.flatMap(({ name, rules }) => rules.map((rule) => ({ group: name, rule })));
  return {
    rules: all
      .filter(({ rule }) => rule.question.language === "promql")
      .map(({ group, rule }) => ({
        place: `${file}: ${group}: ${rule.name}`,
        expression: parse(rule.question.text),
      })),
    records: all.flatMap(({ rule }) => (rule.kind === "recording" ? rule.name : [])),
    problems: [...errors, ...ofStatements].map((error) => problemText({ file, ...error })),
  };
}
