/** Reads the text of an answer to an instant query as samples. */
import type { PromqlAnswer } from "../../query/promql/promql-queries.ts";
import { RuleFault } from "../evaluation/rule-evaluation.ts";
import type { QuerySample } from "../files/rule-group.ts";

interface InstantData {
  readonly resultType: string;
  readonly result: unknown;
}

type Point = readonly [number, string];

/** @throws RuleFault if the answer is neither a vector nor a scalar */
export async function readPromqlText(answer: Pick<PromqlAnswer, "next">): Promise<readonly QuerySample[]> {
  const pieces: Uint8Array[] = [];
  for (let piece = await answer.next(); piece !== undefined; piece = await answer.next()) pieces.push(piece);
  const text = Buffer.concat(pieces).toString("utf8");
  return samplesOf((JSON.parse(text) as { data: InstantData }).data);
}

interface BatchLine {
  /** The index of the question. */
  readonly at: number;
  readonly answer?: { readonly data: InstantData };
  readonly error?: string;
}

/** The answers to several questions, as they arrive. Each piece of the text has whole lines, one for each of them. */
export async function* readPromqlBatch(
  answer: Pick<PromqlAnswer, "next">,
): AsyncGenerator<{ readonly at: number; readonly outcome: readonly QuerySample[] | Error }, void> {
  for (let piece = await answer.next(); piece !== undefined; piece = await answer.next()) {
    for (const text of Buffer.from(piece).toString("utf8").trimEnd().split("\n")) {
      const line = JSON.parse(text) as BatchLine;
      yield { at: line.at, outcome: outcomeOf(line) };
    }
  }
}

function outcomeOf({ answer, error }: BatchLine): readonly QuerySample[] | Error {
  if (answer === undefined) return new RuleFault(error ?? "the question has no answer");
  try {
    return samplesOf(answer.data);
  } catch (fault) {
    if (fault instanceof RuleFault) return fault;
    throw fault;
  }
}

function samplesOf({ resultType, result }: InstantData): readonly QuerySample[] {
  if (resultType === "vector") {
    const series = result as readonly { metric: Record<string, string>; value: Point }[];
    return series.map(({ metric, value }) => ({ labels: metric, value: numberOf(value[1]) }));
  }
  if (resultType === "scalar") return [{ labels: {}, value: numberOf((result as Point)[1]) }];
  throw new RuleFault("rule result is not a vector or scalar");
}

function numberOf(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  return Number(text);
}
