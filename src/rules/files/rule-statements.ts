/** Checks the statements in SQL of the rules of a file. The engine parses them, so this takes a connection. */
import { quote, RequestError } from "../../model/errors.ts";
import type { RuleGroup } from "./rule-group.ts";
import type { PlacedProblem } from "./yaml-tree.ts";

/** Resolves if a statement may run as a rule. Rejects with a RequestError that says why it may not. */
export type CheckStatement = (sql: string) => Promise<void>;

/** What is wrong with the statements. Lines in the reasons are those of the statement. */
export async function statementProblems(
  groups: readonly RuleGroup[],
  check: CheckStatement,
): Promise<PlacedProblem[]> {
  const problems: PlacedProblem[] = [];
  for (const { name: group, rules } of groups) {
    for (const [index, { name, question, line, column }] of rules.entries()) {
      if (question.language !== "sql") continue;
      const reason = await check(question.text).then(
        () => undefined,
        (error: unknown) => {
          if (error instanceof RequestError) return error.message;
          throw error;
        },
      );
      if (reason === undefined) continue;
      const message = `group ${quote(group)}, rule ${index + 1}, ${quote(name)}: the statement is not accepted: ${reason}`;
      problems.push({ ...(question.place ?? { line, column }), message });
    }
  }
  return problems;
}
