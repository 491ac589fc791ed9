/** The list of dashboards, and the files that are none. */
import { useState } from "preact/hooks";
import { askJson } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { formatCount } from "../../format/units.ts";
import { Panel } from "../../parts/panel.tsx";
import { Answered, Empty } from "../../parts/states.tsx";

interface DashboardEntry {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly panels: number;
  readonly shipped: boolean;
  readonly file: string;
}

export interface DashboardsAnswer {
  readonly dashboards: readonly DashboardEntry[];
  readonly errors: readonly {
    readonly file: string;
    readonly line: number;
    readonly column: number;
    readonly message: string;
  }[];
}

/** Files change while people work on them. */
const INTERVAL_MS = 10_000;
/** So many are found without typing. */
const FEW = 8;

export default function DashboardList() {
  const live = useLive((signal) => askJson<DashboardsAnswer>("/api/v1/dashboards", { signal }), INTERVAL_MS);
  return (
    <Answered live={live} what="The dashboards">
      {(answer) => <Dashboards {...answer} />}
    </Answered>
  );
}

function Dashboards({ dashboards, errors }: DashboardsAnswer) {
  const [part, setPart] = useState("");
  const found = dashboards.filter(({ title, name, description, tags }) =>
    [title, name, description, ...tags].some((text) => text.toLowerCase().includes(part.toLowerCase())),
  );
  const own = found.filter(({ shipped }) => !shipped);
  return (
    <div class="dashboard-list">
      {errors.length === 0 ? null : (
        <Panel title="Files with errors" note="the others are shown" isWide>
          <ul class="file-errors">
            {errors.map(({ file, line, column, message }) => (
              <li key={`${file} ${message}`}>
                <code>
                  {file}:{line}:{column}
                </code>
                <span class="bad">{message}</span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {dashboards.length > FEW ? (
        <input
          type="search"
          aria-label="Find dashboards"
          placeholder="Find dashboards"
          value={part}
          onInput={(event) => setPart(event.currentTarget.value)}
        />
      ) : null}
      <Panel title="Your dashboards" isWide>
        {own.length > 0 ? (
          <Entries entries={own} />
        ) : (
          <Empty>
            {part === "" ? (
              <>
                There are none. Start the gateway with <code>--dashboards DIR</code>, and put dashboards of
                Grafana (JSON) or your own (TOML) into the folder.
              </>
            ) : (
              "None matches."
            )}
          </Empty>
        )}
      </Panel>
      <Panel title="Dashboards that come with Weir" isWide>
        <Entries entries={found.filter(({ shipped }) => shipped)} />
      </Panel>
    </div>
  );
}

function Entries({ entries }: { readonly entries: readonly DashboardEntry[] }) {
  return (
    <ul class="dashboard-entries">
      {entries.map(({ name, title, description, tags, panels, file, shipped }) => (
        <li key={name}>
          <a href={`/d/${encodeURIComponent(name)}`}>{title}</a>
          <span class="note">
            {formatCount(panels)} panels{tags.length === 0 ? "" : ` · ${tags.join(", ")}`}
            {shipped ? "" : ` · ${file}`}
          </span>
          {description === "" ? null : <p>{description}</p>}
        </li>
      ))}
    </ul>
  );
}
