/** What is stored: all metrics, or one of them with its labels (`?metric=NAME`). */
import { useLive } from "../../api/live.ts";
import { Answered, Empty, ErrorNote } from "../../parts/states.tsx";
import { place } from "../../router.ts";
import { MetricList } from "./metric-list.tsx";
import { MetricPage } from "./metric-page.tsx";
import { loadMetrics } from "./stored-metrics.ts";

/** Counting the rows of all metrics reads all series. */
const AGAIN_MS = 60_000;

export default function Explore() {
  const live = useLive(loadMetrics, AGAIN_MS);
  const asked = place.value.query.get("metric");
  return (
    <Answered live={live} what="The metrics">
      {({ metrics, bytesPerSample }) => {
        if (asked === null)
          return metrics.length === 0 ? (
            <Empty>Nothing is stored yet. Push something, and it appears here within a minute.</Empty>
          ) : (
            <MetricList metrics={metrics} bytesPerSample={bytesPerSample} />
          );
        const found = metrics.find(({ metric, table }) => metric === asked || table === asked);
        return found === undefined ? (
          <>
            <p>
              <a href="/explore">All metrics</a>
            </p>
            <ErrorNote
              title={`There is no metric ${asked}`}
              detail="It was never pushed, or all its days are past retention."
            />
          </>
        ) : (
          <MetricPage key={found.metric} metric={found} bytesPerSample={bytesPerSample} />
        );
      }}
    </Answered>
  );
}
