/** The view of queries: PromQL and SQL, several at once, as graph, table, heat map, JSON or tree. Its address has all of it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { askPrometheus } from "../../api/gateway-api.ts";
import { endsOf } from "../../format/times.ts";
import { TimeRangeControls } from "../../parts/time-range.tsx";
import { go, place } from "../../router.ts";
import { CodeEditor } from "./code-editor.tsx";
import { PromqlResult } from "./promql-result.tsx";
import {
  type AskedQuery,
  addressOfState,
  type QueryLanguage,
  type QueryState,
  readState,
  TABS,
} from "./query-address.ts";
import { noteRun, removeSaved, runQueries, savedQueries, saveQuery } from "./query-history.ts";
import { SqlResult } from "./sql-result.tsx";

const TAB_NAMES = {
  graph: "Graph",
  table: "Table",
  heatmap: "Heat map",
  json: "JSON",
  tree: "Tree",
} as const;

export default function Query() {
  const state = readState(place.value.query);
  const [drafts, setDrafts] = useState<readonly AskedQuery[]>(state.queries);
  const [run, setRun] = useState({ count: 0, nowMs: Date.now() });
  const address = addressOfState(state);
  /** How often queries came from elsewhere than the editors. An editor takes their text then, and at no other time. */
  const [opened, setOpened] = useState(0);
  const ownAddress = useRef(address);
  const open = (queries: readonly AskedQuery[]) => {
    setDrafts(queries);
    setOpened((count) => count + 1);
  };
  // A link or the history of the browser changes the queries.
  useEffect(() => {
    if (address !== ownAddress.current) open(readState(place.value.query).queries);
    ownAddress.current = address;
  }, [address]);
  useEffect(() => {
    if (state.refreshMs === 0) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) setRun(({ count }) => ({ count: count + 1, nowMs: Date.now() }));
    }, state.refreshMs);
    return () => clearInterval(timer);
  }, [state.refreshMs]);

  const change = (changes: Partial<QueryState>, replace = false) => {
    setRun(({ count }) => ({ count: count + 1, nowMs: Date.now() }));
    const target = addressOfState({ ...state, ...changes });
    ownAddress.current = target;
    go(target, { replace });
  };
  const runAll = (queries = drafts) => {
    for (const query of queries) noteRun(query);
    change({ queries });
  };
  /** Writes expressions as the gateway does. One that it cannot read stays as it is: running it shows the error. */
  const formatAll = async () => {
    const formatted = await Promise.all(
      drafts.map(async (draft) => {
        if (draft.language !== "promql" || draft.text.trim() === "") return draft;
        const parameters = { query: draft.text };
        return await askPrometheus<string>("/api/v1/format_query", { parameters }).then(
          (text) => ({ ...draft, text }),
          () => draft,
        );
      }),
    );
    open(formatted);
  };
  const { fromMs, toMs } = endsOf(state.range, run.nowMs);
  return (
    <div class="queries">
      {drafts.map((draft, at) => (
        <QueryPanel
          key={`${at} ${draft.language}`}
          number={at + 1}
          draft={draft}
          isOnly={drafts.length === 1}
          onChange={(changed) => setDrafts(drafts.with(at, changed))}
          onRun={() => runAll()}
          opened={opened}
          onOpen={(query) => {
            open(drafts.with(at, query));
            runAll(drafts.with(at, query));
          }}
          onRemove={() => {
            const others = drafts.filter((_, other) => other !== at);
            open(others);
            runAll(others);
          }}
        />
      ))}
      <div class="bar">
        <button type="submit" onClick={() => runAll()}>
          Run
        </button>
        <button type="button" onClick={() => setDrafts([...drafts, { language: "promql", text: "" }])}>
          Add a query
        </button>
        <button type="button" onClick={() => void formatAll()}>
          Format
        </button>
        <TimeRangeControls
          range={state.range}
          zone={state.zone}
          refreshMs={state.refreshMs}
          onChange={(changes) => change(changes)}
        />
        <label>
          <input
            type="checkbox"
            checked={state.isStacked}
            onChange={(event) => change({ isStacked: event.currentTarget.checked }, true)}
          />{" "}
          Stacked
        </label>
      </div>
      <div role="tablist" aria-label="How answers are shown" class="tabs">
        {TABS.map((tab) => (
          <button
            key={tab}
            type="button"
            role="tab"
            aria-selected={tab === state.tab}
            onClick={() => change({ tab }, true)}
          >
            {TAB_NAMES[tab]}
          </button>
        ))}
      </div>
      {state.queries.map(({ language, text }, at) =>
        text.trim() === "" ? null : (
          <section key={at} class="panel" aria-label={`Answer ${at + 1}`}>
            {language === "sql" ? (
              <SqlResult statement={text} tab={state.tab} zone={state.zone} run={run.count} />
            ) : (
              <PromqlResult
                {...{
                  fromMs,
                  toMs,
                  tab: state.tab,
                  zone: state.zone,
                  stepMs: state.stepMs,
                  isStacked: state.isStacked,
                }}
                expr={text}
                run={run.count}
                onSelect={(from, to) => change({ range: { fromMs: from, toMs: to } })}
              />
            )}
          </section>
        ),
      )}
    </div>
  );
}

interface QueryPanelProps {
  readonly number: number;
  readonly draft: AskedQuery;
  readonly isOnly: boolean;
  readonly opened: number;
  readonly onChange: (query: AskedQuery) => void;
  readonly onRun: () => void;
  readonly onOpen: (query: AskedQuery) => void;
  readonly onRemove: () => void;
}

/** The editor of one query, with its language, its history, and the queries that were saved. */
function QueryPanel({ number, draft, isOnly, opened, onChange, onRun, onOpen, onRemove }: QueryPanelProps) {
  const [kept, setKept] = useState(0);
  const saved = savedQueries();
  const earlier = runQueries()
    .filter(({ text }) => text !== draft.text)
    .slice(0, 30);
  return (
    <section class="query-panel" aria-label={`Query ${number}`} data-kept={kept}>
      <select
        aria-label={`Language of query ${number}`}
        value={draft.language}
        onChange={(event) => onChange({ language: event.currentTarget.value as QueryLanguage, text: "" })}
      >
        <option value="promql">PromQL</option>
        <option value="sql">SQL</option>
      </select>
      <CodeEditor
        label={`Query ${number}`}
        language={draft.language}
        text={draft.text}
        opened={opened}
        onChange={(text) => onChange({ ...draft, text })}
        onRun={onRun}
      />
      <select
        aria-label={`Earlier and saved queries for query ${number}`}
        value=""
        onChange={(event) => {
          const [kind, at] = event.currentTarget.value.split(" ");
          const query = (kind === "saved" ? saved : earlier)[Number(at)];
          if (query !== undefined) onOpen({ language: query.language, text: query.text });
        }}
      >
        <option value="">History</option>
        <optgroup label="Saved">
          {saved.map(({ name }, at) => (
            <option key={name} value={`saved ${at}`}>
              {name}
            </option>
          ))}
        </optgroup>
        <optgroup label="Earlier">
          {earlier.map(({ text }, at) => (
            <option key={text} value={`earlier ${at}`}>
              {text.slice(0, 80)}
            </option>
          ))}
        </optgroup>
      </select>
      <SaveButton draft={draft} saved={saved} onKept={() => setKept(kept + 1)} />
      {isOnly ? null : (
        <button type="button" onClick={onRemove} aria-label={`Remove query ${number}`}>
          ✕
        </button>
      )}
    </section>
  );
}

interface SaveButtonProps {
  readonly draft: AskedQuery;
  readonly saved: readonly { readonly name: string; readonly text: string }[];
  readonly onKept: () => void;
}

/** Saves the query in this browser by its text, or removes it again. */
function SaveButton({ draft, saved, onKept }: SaveButtonProps) {
  const known = saved.find(({ text }) => text === draft.text);
  return (
    <button
      type="button"
      aria-pressed={known !== undefined}
      title={known === undefined ? "Save the query in this browser" : "Remove the saved query"}
      aria-label={known === undefined ? "Save the query" : "Remove the saved query"}
      disabled={draft.text.trim() === ""}
      onClick={() => {
        if (known !== undefined) removeSaved(known.name);
        else saveQuery({ ...draft, name: draft.text.trim().slice(0, 60) });
        onKept();
      }}
    >
      {known === undefined ? "☆" : "★"}
    </button>
  );
}
