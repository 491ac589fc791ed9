/** The syntax tree of an expression: each node is evaluated alone, with the number of its series and the time it took. */
import { useEffect, useState } from "preact/hooks";
import { askJson } from "../../api/gateway-api.ts";
import { formatCount, formatSeconds } from "../../format/units.ts";
import { ErrorNote, Loading } from "../../parts/states.tsx";
import type { PromAnswer } from "../../api/promql-answer.ts";

interface TreeNode {
  readonly level: number;
  readonly type: string;
  readonly text: string;
}

interface NodeResult {
  readonly series?: number;
  readonly seconds?: number;
  readonly error?: string;
}

/** The nodes of a plan: lines of `type: expression`, indented by two spaces for each level. */
export function nodesOf(plan: readonly string[]): TreeNode[] {
  return plan.map((line) => {
    const [, indent = "", type = "", text = ""] =
      /^( *)(\w+): ([\s\S]*?)(?: {2}\(once for all steps\))?$/.exec(line) ?? [];
    return { level: indent.length / 2, type, text };
  });
}

interface Explained {
  readonly data: PromAnswer & { readonly explain?: { readonly plan: readonly string[] } };
}

export function SyntaxTree({ expr, timeMs }: { readonly expr: string; readonly timeMs: number }) {
  const [nodes, setNodes] = useState<readonly TreeNode[]>();
  const [results, setResults] = useState<readonly NodeResult[]>([]);
  const [error, setError] = useState<Error>();
  useEffect(() => {
    const ended = new AbortController();
    const { signal } = ended;
    const time = timeMs / 1_000;
    const run = async () => {
      const answer = await askJson<Explained>("/api/v1/query", {
        parameters: { query: expr, time, explain: "true", limit: 1 },
        signal,
      });
      const found = nodesOf(answer.data.explain?.plan ?? []);
      setNodes(found);
      // One after the other, so that each time is that of its own work.
      for (const [at, node] of found.entries()) {
        const result = await resultOf(node, time, signal);
        setResults((before) => Object.assign([...before], { [at]: result }));
      }
    };
    setNodes(undefined);
    setResults([]);
    setError(undefined);
    run().catch((reason: Error) => {
      if (!signal.aborted) setError(reason);
    });
    return () => ended.abort();
  }, [expr, timeMs]);
  if (error !== undefined) return <ErrorNote title="The expression has no tree" detail={error.message} />;
  if (nodes === undefined) return <Loading what="the tree" />;
  return (
    <ul class="syntax-tree" aria-label="The parts of the expression">
      {nodes.map(({ level, type, text }, at) => (
        <li key={`${at} ${text}`} style={{ marginLeft: `${level * 1.5}rem` }}>
          <code>{text}</code> <span class="note">{type}</span> <NodeText result={results[at]} />
        </li>
      ))}
    </ul>
  );
}

function NodeText({ result }: { readonly result: NodeResult | undefined }) {
  if (result === undefined) return <span class="muted">…</span>;
  if (result.error !== undefined) return <span class="bad">{result.error}</span>;
  if (result.series === undefined) return null;
  return (
    <span class="muted">
      {formatCount(result.series)} {result.series === 1 ? "series" : "series"} in{" "}
      {formatSeconds(result.seconds ?? 0)}
    </span>
  );
}

async function resultOf({ type, text }: TreeNode, time: number, signal: AbortSignal): Promise<NodeResult> {
  if (type === "stringLiteral" || type === "numberLiteral") return {};
  const began = performance.now();
  try {
    const { data } = await askJson<{ data: PromAnswer }>("/api/v1/query", {
      parameters: { query: text, time },
      signal,
    });
    const series = data.resultType === "vector" || data.resultType === "matrix" ? data.result.length : 1;
    return { series, seconds: (performance.now() - began) / 1_000 };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
