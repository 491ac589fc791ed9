/** The settings in effect, where each came from and what it does; and what the gateway stores. */
import { useMemo } from "preact/hooks";
import { ApiError, askPrometheus, askSql, askSummary } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { may } from "../../api/session.ts";
import { formatAgo } from "../../format/times.ts";
import { formatBytes, formatCount, formatNumber } from "../../format/units.ts";
import { Panel } from "../../parts/panel.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { place, setQuery } from "../../router.ts";

interface SettingInEffect {
  readonly name: string;
  readonly flag: string;
  readonly variable: string;
  readonly value: string;
  readonly default: string;
  readonly origin: string;
  readonly what: string;
  readonly why: string;
}

export default function SettingsView() {
  return (
    <div class="panels">
      <Panel title="This gateway" isWide>
        <GatewayFacts />
      </Panel>
      {may("sql") ? (
        <Panel title="Stored days" note="by the time of the samples, in UTC" isWide>
          <StoredDays />
        </Panel>
      ) : null}
      <SettingsPanel />
    </div>
  );
}

interface DiskRow {
  readonly file_bytes: number;
  readonly log_bytes: number;
  readonly disk_free_bytes: number;
  readonly stored_samples: number;
  readonly bytes_per_sample: number | null;
  readonly days_until_full: number | null;
}

/** What a token with labels may not ask is left out. */
async function orUndefined<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
  return await asked.catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 403) return undefined;
    throw error;
  });
}

/** A disk that fills in more than ten years does not fill: retention drops days before. */
function daysText(days: number | null): string {
  if (days === null) return "unknown";
  return days > 3_650 ? "more than 10 years" : `${formatNumber(Math.round(days))} days`;
}

function GatewayFacts() {
  const live = useLive(async (signal) => {
    const [build, runtime, disk] = await Promise.all([
      askPrometheus<{ revision: string }>("/api/v1/status/buildinfo", { signal }),
      askPrometheus<{ startTime: string; storageRetention: string }>("/api/v1/status/runtimeinfo", {
        signal,
      }),
      orUndefined(askSummary<DiskRow>("disk_use", {}, signal)),
    ]);
    return { build, runtime, disk: disk?.[0] };
  }, 30_000);
  return (
    <Answered live={live} what="The state of the gateway">
      {({ build, runtime, disk }) => {
        const facts: [string, string][] = [
          ["Version", build.revision.replace(/^weir-/, "")],
          ["Started", formatAgo(Date.parse(runtime.startTime), Date.now())],
          ["Retention", runtime.storageRetention.replace(/d$/, " days")],
        ];
        if (disk !== undefined) {
          facts.push(
            ["Stored samples", formatCount(disk.stored_samples)],
            ["File and its log", `${formatBytes(disk.file_bytes)} + ${formatBytes(disk.log_bytes)}`],
            [
              "Bytes per sample",
              disk.bytes_per_sample === null ? "unknown" : formatNumber(disk.bytes_per_sample),
            ],
            ["Free on the disk", formatBytes(disk.disk_free_bytes)],
            ["The disk is full in", daysText(disk.days_until_full)],
          );
        }
        return (
          <dl class="facts">
            {facts.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
            <div>
              <dt>API</dt>
              <dd>
                <a href="/api/v1/openapi.json">OpenAPI</a>
              </dd>
            </div>
          </dl>
        );
      }}
    </Answered>
  );
}

interface DayRow {
  readonly day: string;
  readonly samples: number;
  readonly metrics: number;
}

const DAYS =
  "SELECT CAST(ts AS DATE) AS day, count(*) AS samples, count(DISTINCT metric) AS metrics FROM samples " +
  "GROUP BY ALL ORDER BY day DESC";

function StoredDays() {
  // It reads all rows, so it is asked once.
  const live = useLive((signal) => askSql<DayRow>(DAYS, { signal }), 0);
  return (
    <Answered live={live} what="The days">
      {(days) => {
        if (days.length === 0) return <Empty>Nothing is stored yet.</Empty>;
        const most = Math.max(...days.map(({ samples }) => samples));
        return (
          <table aria-label="Stored days">
            <thead>
              <tr>
                <th>Day</th>
                <th class="number">Samples</th>
                <th class="number">Metrics</th>
                <th class="bars">
                  <span class="unseen">Part of the largest day</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {days.map(({ day, samples, metrics }) => (
                <tr key={day}>
                  <td>{day}</td>
                  <td class="number">{formatCount(samples)}</td>
                  <td class="number">{formatCount(metrics)}</td>
                  <td class="bars">
                    <meter
                      min={0}
                      max={most}
                      value={samples}
                      aria-label={`${day}: ${formatNumber((100 * samples) / most)} % of the largest day`}
                    />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        );
      }}
    </Answered>
  );
}

function SettingsPanel() {
  const live = useLive(
    (signal) =>
      orUndefined(askPrometheus<{ settings: SettingInEffect[] }>("/api/v1/status/settings", { signal })),
    0,
  );
  return (
    <Panel title="Settings" note="of flags, variables and weir.toml, in this order" isWide>
      <Answered live={live} what="The settings">
        {(answer) =>
          answer === undefined ? (
            <Empty>A token with labels may not see the settings.</Empty>
          ) : (
            <SettingList settings={answer.settings} />
          )
        }
      </Answered>
    </Panel>
  );
}

function SettingList({ settings }: { readonly settings: readonly SettingInEffect[] }) {
  const { query } = place.value;
  const search = query.get("search") ?? "";
  const isChanged = query.get("changed") === "true";
  const words = search.toLowerCase();
  const found = useMemo(
    () =>
      settings.filter(
        ({ name, flag, what, value, origin }) =>
          (!isChanged || origin !== "default") &&
          `${name} ${flag} ${what} ${value}`.toLowerCase().includes(words),
      ),
    [settings, words, isChanged],
  );
  return (
    <>
      <div class="bar filters">
        <input
          type="search"
          aria-label="Search settings"
          placeholder="Name, value or what it does"
          value={search}
          onInput={(event) => setQuery({ search: event.currentTarget.value })}
        />
        <label>
          <input
            type="checkbox"
            checked={isChanged}
            onChange={(event) => setQuery({ changed: event.currentTarget.checked ? "true" : undefined })}
          />{" "}
          Only those that were set
        </label>
        <span class="note" role="status">
          {formatCount(found.length)} of {formatCount(settings.length)}
        </span>
      </div>
      {found.length === 0 ? (
        <Empty>
          {isChanged && search === "" ? "All settings have their defaults." : "No setting matches."}
        </Empty>
      ) : (
        <table aria-label="Settings" class="settings">
          <thead>
            <tr>
              <th>Setting</th>
              <th>Value</th>
              <th>From</th>
              <th>What it does</th>
            </tr>
          </thead>
          <tbody>
            {found.map((setting) => (
              <tr key={setting.name}>
                <td>
                  <code title={`${setting.variable}, ${setting.name} in weir.toml`}>{setting.flag}</code>
                </td>
                <td class="value">{setting.value || <span class="muted">none</span>}</td>
                <td class={setting.origin === "default" ? "muted" : undefined}>{setting.origin}</td>
                <td class="wraps">
                  {setting.what}{" "}
                  <span class="muted">
                    Default: {setting.default || "none"}. {setting.why}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
