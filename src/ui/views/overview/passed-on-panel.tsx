/** Where samples are passed on to: destinations of forwarding, the archive, and the upstream that queries read back from. */
import { useRef } from "preact/hooks";
import { askJson } from "../../api/gateway-api.ts";
import { formatAgo, formatTime } from "../../format/times.ts";
import { formatBytes, formatCount, formatNumber, formatSeconds } from "../../format/units.ts";
import { useNow } from "../../parts/now.ts";
import { Panel } from "../../parts/panel.tsx";

/** A destination of `/api/v1/forward`. */
interface Destination {
  readonly name: string;
  readonly type: string;
  readonly failing: boolean;
  readonly lag_samples: number;
  readonly lag_seconds: number;
  readonly sent_samples: number;
  readonly dropped_samples: number;
  readonly last_error: string | null;
  readonly last_error_at: string | null;
}

interface Upstream {
  readonly name: string;
  readonly failing: boolean;
  readonly paused: boolean;
  readonly last_error: string | null;
}

interface ForwardAnswer {
  readonly destinations: readonly Destination[];
  readonly held: { readonly days: number; readonly samples: number };
  readonly upstream: Upstream | null;
}

interface ArchiveAnswer {
  readonly to: string | null;
  readonly days: readonly {
    readonly date: string;
    readonly state: string;
    readonly bytes: number;
    readonly last_error: string | null;
  }[];
}

export interface PassedOn extends ForwardAnswer {
  readonly archive: ArchiveAnswer;
  /** When this was answered, on the clock of the tab. */
  readonly atMs: number;
}

export const NOTHING_PASSED_ON: PassedOn = {
  destinations: [],
  held: { days: 0, samples: 0 },
  upstream: null,
  archive: { to: null, days: [] },
  atMs: 0,
};

export async function askPassedOn(signal: AbortSignal): Promise<PassedOn> {
  const [forward, archive] = await Promise.all([
    askJson<ForwardAnswer>("/api/v1/forward", { signal }),
    askJson<ArchiveAnswer>("/api/v1/archive", { signal }),
  ]);
  return { ...forward, archive, atMs: performance.now() };
}

export function PassedOnPanel({ passed }: { readonly passed: PassedOn }) {
  const { destinations, held, upstream, archive } = passed;
  const rates = useRates(passed);
  const nowMs = useNow();
  if (destinations.length === 0 && upstream === null && archive.to === null) return null;
  return (
    <Panel title="Passed on" note="to other systems" isWide>
      {destinations.map((each) => (
        <DestinationPart key={each.name} {...each} perSecond={rates.get(each.name)} nowMs={nowMs} />
      ))}
      {held.days === 0 ? null : (
        <p>
          {formatCount(held.samples)} samples of {formatCount(held.days)} {held.days === 1 ? "day" : "days"}{" "}
          are kept past retention until all destinations have them.
        </p>
      )}
      {archive.to === null ? null : <ArchivePart {...archive} />}
      {upstream === null ? null : <UpstreamPart {...upstream} />}
    </Panel>
  );
}

/** The samples per second that each destination took between the last two answers. */
function useRates(passed: PassedOn): ReadonlyMap<string, number> {
  const last = useRef<{ answers: readonly PassedOn[]; rates: ReadonlyMap<string, number> }>({
    answers: [],
    rates: new Map(),
  });
  const { answers } = last.current;
  if (answers.at(-1) === passed || passed.atMs === 0) return last.current.rates;
  const before = answers.at(-1);
  const rates = new Map<string, number>();
  for (const { name, sent_samples: sent } of passed.destinations) {
    const earlier = before?.destinations.find((each) => each.name === name)?.sent_samples;
    // After a restart the gateway counts from 0 again.
    if (before === undefined || earlier === undefined || sent < earlier) continue;
    rates.set(name, (1_000 * (sent - earlier)) / (passed.atMs - before.atMs));
  }
  last.current = { answers: [passed], rates };
  return rates;
}

function DestinationPart({
  perSecond,
  nowMs,
  ...each
}: Destination & { readonly perSecond: number | undefined; readonly nowMs: number }) {
  const age = each.lag_samples === 0 ? "" : `, the oldest for ${formatSeconds(Math.round(each.lag_seconds))}`;
  return (
    <section class="thing" aria-label={each.name}>
      <h3>
        {each.name} <span class="muted">{each.type} · </span>
        <span class={each.failing ? "bad" : "muted"}>
          {each.failing ? "takes no samples" : "takes samples"}
        </span>
      </h3>
      <p class="stated">
        <span>
          {each.lag_samples === 0 ? "nothing waits" : `${formatCount(each.lag_samples)} samples wait${age}`}
        </span>
        {perSecond === undefined ? null : (
          <span>{formatNumber(Number(perSecond.toPrecision(3)))} per second</span>
        )}
        <span>{formatCount(each.sent_samples)} sent since the start</span>
        {each.dropped_samples === 0 ? null : (
          <span class="warn">{formatCount(each.dropped_samples)} dropped</span>
        )}
      </p>
      {each.last_error === null || each.last_error_at === null ? null : (
        <p class={each.failing ? "bad" : "muted"} title={formatTime(Date.parse(each.last_error_at))}>
          Last error, {formatAgo(Date.parse(each.last_error_at), nowMs)}: {each.last_error}
        </p>
      )}
    </section>
  );
}

function ArchivePart({ to, days }: ArchiveAnswer) {
  const archived = days.filter(({ state }) => state === "archived");
  const closed = days.filter(({ state }) => state !== "open");
  const failed = days.findLast(({ last_error: error }) => error !== null);
  return (
    <section class="thing" aria-label="Archive">
      <h3>
        Archive <span class="muted">{to}</span>
      </h3>
      <p class="stated">
        <span>
          {closed.length === 0
            ? "no day is closed yet"
            : `${formatCount(archived.length)} of ${formatCount(closed.length)} closed days`}
        </span>
        <span>{formatBytes(archived.reduce((sum, { bytes }) => sum + bytes, 0))}</span>
      </p>
      {failed === undefined ? null : (
        <p class="bad">
          {failed.date}: {failed.last_error}
        </p>
      )}
    </section>
  );
}

function UpstreamPart({ name, failing, paused, last_error: error }: Upstream) {
  return (
    <section class="thing" aria-label="Upstream">
      <h3>
        Upstream <span class="muted">{name} · </span>
        {failing ? (
          <span class="bad">{paused ? "is not asked at the moment" : "did not answer"}</span>
        ) : (
          <span class="muted">answers</span>
        )}
      </h3>
      {error === null ? (
        <p class="muted">Queries read older samples and series of others from it.</p>
      ) : (
        <p class="bad">It {error}</p>
      )}
    </section>
  );
}
