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
  const { resultType, result } = (JSON.parse(text) as { data: InstantData }).data;
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
