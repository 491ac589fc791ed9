/** Rejected samples with their reasons. After the cause is mended they can be pushed again, or deleted. */
import { useMemo, useState } from "preact/hooks";
import { askJson } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { may } from "../../api/session.ts";
import { formatTime } from "../../format/times.ts";
import { Panel } from "../../parts/panel.tsx";
import { Rows, type TableColumn } from "../../parts/rows.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { place, setQuery } from "../../router.ts";
import { MendEvent } from "./mend-event.tsx";
import { RejectedActions } from "./rejected-actions.tsx";

export interface ListedRejected {
  readonly id: number;
  readonly receivedAt: string;
  readonly protocol: string;
  readonly instance: string;
  readonly cause: string;
  readonly reason: string;
  readonly metric?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly time?: string;
  readonly value?: number;
  readonly payload: string;
  readonly replayable: boolean;
  /** The event that can be mended. Absent if the sample is of a protocol without such a text. */
  readonly event?: string;
}

interface RejectedPageAnswer {
  readonly rejected: readonly ListedRejected[];
  readonly next?: number;
}

/** The filters, in the address and in the API. */
const FILTERS = {
  metric: "Metric",
  cause: "Cause",
  protocol: "Protocol",
  instance: "Instance",
  reason: "Part of the reason",
} as const;
export type RejectedFilters = Readonly<Partial<Record<keyof typeof FILTERS, string>>>;

const REFRESH_MS = 15_000;
const LIMIT = 200;

export default function RejectedView() {
  const { query } = place.value;
  const filters = Object.fromEntries(
    Object.keys(FILTERS).flatMap((name) => (query.get(name) ? [[name, query.get(name)!] as const] : [])),
  ) as RejectedFilters;
  const before = query.get("before") ?? undefined;
  const key = JSON.stringify([filters, before]);
  const live = useLive(
    (signal) =>
      askJson<RejectedPageAnswer>("/api/v1/rejected", {
        parameters: { ...filters, before, limit: LIMIT },
        signal,
      }),
    before === undefined ? REFRESH_MS : 0,
    key,
  );
  const isFiltered = Object.keys(filters).length > 0;
  return (
    <div class="panels">
      <Panel title="Rejected samples" note="the newest first" isWide>
        <FilterForm key={JSON.stringify(filters)} filters={filters} />
        <Answered live={live} what="The rejected samples">
          {({ rejected, next }) =>
            rejected.length === 0 ? (
              <Empty>
                {isFiltered
                  ? "No rejected sample matches."
                  : "Nothing was rejected, or all of it was replayed or deleted."}
              </Empty>
            ) : (
              <>
                <RejectedRows rejected={rejected} onStored={live.again} />
                <p class="bar">
                  {before === undefined ? null : (
                    <button type="button" onClick={() => setQuery({ before: undefined }, { replace: false })}>
                      Newest
                    </button>
                  )}
                  {next === undefined ? null : (
                    <button
                      type="button"
                      onClick={() => setQuery({ before: String(next) }, { replace: false })}
                    >
                      Older
                    </button>
                  )}
                </p>
              </>
            )
          }
        </Answered>
      </Panel>
      {may("admin") ? <RejectedActions filters={filters} onDone={live.again} /> : null}
    </div>
  );
}

function FilterForm({ filters }: { readonly filters: RejectedFilters }) {
  const [draft, setDraft] = useState(filters);
  return (
    <form
      class="bar filters"
      onSubmit={(event) => {
        event.preventDefault();
        setQuery({ ...draft, before: undefined });
      }}
    >
      {Object.entries(FILTERS).map(([name, title]) => (
        <label key={name} class="filter">
          {title}
          <input
            type="search"
            value={draft[name as keyof typeof FILTERS] ?? ""}
            onInput={(event) => setDraft({ ...draft, [name]: event.currentTarget.value })}
          />
        </label>
      ))}
      <button type="submit">Filter</button>
    </form>
  );
}

/** A filter that a click sets. */
function Pick({ name, value }: { readonly name: keyof typeof FILTERS; readonly value: string }) {
  return (
    <button
      type="button"
      class="link"
      title={`Only ${FILTERS[name].toLowerCase()} ${value}`}
      onClick={() => setQuery({ [name]: value, before: undefined })}
    >
      {value}
    </button>
  );
}

interface RejectedRowsProps {
  readonly rejected: readonly ListedRejected[];
  /** A mended sample was stored. */
  readonly onStored: () => void;
}

function RejectedRows({ rejected, onStored }: RejectedRowsProps) {
  const [open, setOpen] = useState<number>();
  const opened = rejected.find(({ id }) => id === open);
  const columns = useMemo(
    (): TableColumn<ListedRejected>[] => [
      {
        title: "Received",
        cell: ({ id, receivedAt }) => (
          <button
            type="button"
            class="link"
            title="All of this sample"
            aria-expanded={id === open}
            onClick={() => setOpen(id === open ? undefined : id)}
          >
            {formatTime(Date.parse(receivedAt))}
          </button>
        ),
      },
      { title: "Cause", cell: ({ cause }) => <Pick name="cause" value={cause} /> },
      {
        title: "Metric",
        cell: ({ metric }) =>
          metric === undefined ? (
            <span class="muted">not decoded</span>
          ) : (
            <Pick name="metric" value={metric} />
          ),
      },
      {
        title: "Reason",
        cell: ({ reason }) => (
          <span class="cut reason" title={reason}>
            {reason}
          </span>
        ),
      },
      { title: "Protocol", cell: ({ protocol }) => <Pick name="protocol" value={protocol} /> },
      {
        title: "Instance",
        cell: ({ instance }) => (instance ? <Pick name="instance" value={instance} /> : ""),
      },
      {
        title: "Replay",
        cell: ({ replayable }) => (replayable ? "possible" : <span class="muted">not possible</span>),
      },
    ],
    [open],
  );
  return (
    <>
      <Rows label="Rejected samples" rows={rejected} columns={columns} keyOf={({ id }) => String(id)} />
      {opened === undefined ? null : <RejectedSample sample={opened} />}
      {opened?.event === undefined || !may("admin") ? null : (
        <MendEvent key={opened.id} id={opened.id} event={opened.event} onStored={onStored} />
      )}
    </>
  );
}

/** All that is known of one sample. */
function RejectedSample({ sample }: { readonly sample: ListedRejected }) {
  const { reason, labels, time, value, payload } = sample;
  const facts = {
    Reason: reason,
    Labels: Object.entries(labels)
      .map(([name, text]) => `${name}=${JSON.stringify(text)}`)
      .join(", "),
    Time: time === undefined ? "" : formatTime(Date.parse(time)),
    Value: value === undefined ? "" : String(value),
    "What was sent": payload,
  };
  return (
    <dl class="facts inner whole" aria-label="The sample">
      {Object.entries(facts)
        .filter(([, text]) => text !== "")
        .map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
    </dl>
  );
}
