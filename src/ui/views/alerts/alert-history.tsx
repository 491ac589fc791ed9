/** When alerts were firing, as bars over the last day: from the series ALERTS that the rules record. */
import { askPrometheus } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { Chart } from "../../parts/chart.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { linesOf, type PromAnswer, type PromSeries, timesOf } from "../../api/promql-answer.ts";

const DAY_S = 86_400;
const STEP_S = 300;
const REFRESH_MS = 60_000;

export function AlertHistory() {
  const live = useLive(async (signal) => {
    const end = Math.ceil(Date.now() / 1_000 / STEP_S) * STEP_S;
    const start = end - DAY_S;
    const data = await askPrometheus<PromAnswer>("/api/v1/query_range", {
      parameters: { query: 'count by (alertname) (ALERTS{alertstate="firing"})', start, end, step: STEP_S },
      signal,
    });
    const times = timesOf(start, end, STEP_S);
    return { times, lines: linesOf(data.result as readonly PromSeries[], times, STEP_S) };
  }, REFRESH_MS);
  return (
    <Answered live={live} what="The history">
      {({ times, lines }) =>
        lines.length === 0 ? (
          <Empty>No alert was firing.</Empty>
        ) : (
          <Chart label="Firing alerts by name" times={times} lines={lines} height={180} isStacked />
        )
      }
    </Answered>
  );
}
