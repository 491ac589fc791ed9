/** Finds the files of rules that patterns match, and reads them all. */
import { readFile } from "node:fs/promises";
import { duplicatesInOtherFiles } from "./duplicate-rules.ts";
import { readRuleFile, type RuleFileOptions } from "./rule-file.ts";
import type { RuleGroup } from "./rule-group.ts";
import { type CheckStatement, statementProblems } from "./rule-statements.ts";
import type { PlacedProblem } from "./yaml-tree.ts";

/** What is wrong in a file. */
export interface FileProblem extends PlacedProblem {
  readonly file: string;
}

export interface RuleFiles {
  /** In the order of the patterns; the files of one pattern by name. */
  readonly groups: readonly RuleGroup[];
  /** The files that were read. */
  readonly files: readonly string[];
  /** Why the rules cannot be used as a whole. */
  readonly errors: readonly FileProblem[];
  readonly warnings: readonly FileProblem[];
}

/**
 * The paths that patterns such as `rules/*.yml` match, each once. A path without such characters is taken as it is, so
 * that a file that does not exist is an error when it is read.
 */
export async function findRuleFiles(patterns: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    // A name with brackets is a path if such a file exists.
    if (!/[*?[{]/.test(pattern) || (await Bun.file(pattern).exists())) {
      found.add(pattern);
      continue;
    }
    const paths: string[] = [];
    for await (const path of new Bun.Glob(pattern).scan({ absolute: pattern.startsWith("/") }))
      paths.push(path);
    for (const path of paths.sort()) found.add(path);
  }
  return [...found];
}

/** Rules that no file has, as the text of one. */
export interface GeneratedRules {
  /** What they are generated from. It stands where other rules have the path of their file. */
  readonly file: string;
  readonly text: string;
}

/** How files are read as a whole. */
export interface RuleFilesOptions extends RuleFileOptions {
  readonly checkStatement: CheckStatement;
}

/** Reads the files of patterns, and then generated ones. A file that cannot be read is an error like any other. */
export async function readRuleFiles(
  patterns: readonly string[],
  options: RuleFilesOptions,
  generated: readonly GeneratedRules[] = [],
): Promise<RuleFiles> {
  const files = await findRuleFiles(patterns);
  const groups: RuleGroup[] = [];
  const errors: FileProblem[] = [];
  const warnings: FileProblem[] = [];
  const add = async (file: string, text: string) => {
    const content = readRuleFile(file, text, options);
    groups.push(...content.groups);
    const ofStatements = await statementProblems(content.groups, options.checkStatement);
    const inOrder = [...content.errors, ...ofStatements].sort(
      (a, b) => a.line - b.line || a.column - b.column,
    );
    errors.push(...inOrder.map((each) => ({ file, ...each })));
    warnings.push(...content.warnings.map((each) => ({ file, ...each })));
  };
  for (const file of files) {
    let text: string;
    try {
      text = await readFile(file, "utf8");
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      const reason = code === "ENOENT" ? "it does not exist" : message;
      errors.push({ file, line: 1, column: 1, message: `the file cannot be read: ${reason}` });
      continue;
    }
    await add(file, text);
  }
  for (const { file, text } of generated) await add(file, text);
  warnings.push(...duplicatesInOtherFiles(groups));
  return { groups, files: [...files, ...generated.map(({ file }) => file)], errors, warnings };
}

/** A problem as one line: `FILE:LINE:COLUMN: MESSAGE`. */
export function problemText({ file, line, column, message }: FileProblem): string {
  return `${file}:${line}:${column}: ${message}`;
}
