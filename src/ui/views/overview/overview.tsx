/** What a person sees first: who pushes, how much, and what needs attention. */
import { askSummary } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { Panel } from "../../parts/panel.tsx";
import { Answered, Empty } from "../../parts/states.tsx";

interface WorkerRow {
  readonly job: string;
  readonly instance: string;
  readonly last: string;
  readonly samples: number;
}

export default function Overview() {
  const workers = useLive((signal) => askSummary<WorkerRow>("workers", {}, signal), 5_000);
  return (
    <div class="panels">
      <Panel title="Workers" note="the last 24 hours" isWide>
        <Answered live={workers} what="The workers">
          {(rows) =>
            rows.length === 0 ? (
              <Empty>Nobody has pushed yet.</Empty>
            ) : (
              <table>
                <thead>
                  <tr>
                    <th>Job</th>
                    <th>Instance</th>
                    <th>Last push</th>
                    <th class="number">Samples</th>
                  </tr>
                </thead>
                <tbody>
                  {rows.map(({ job, instance, last, samples }) => (
                    <tr key={`${job}/${instance}`}>
                      <td>{job}</td>
                      <td>{instance}</td>
                      <td>{last}</td>
                      <td class="number">{samples}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )
          }
        </Answered>
      </Panel>
    </div>
  );
}
