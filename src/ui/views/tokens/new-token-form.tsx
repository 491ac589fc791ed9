/** Creates a token: its name, what it allows, its labels, and when it expires. */
import { useState } from "preact/hooks";
import { askJson } from "../../api/gateway-api.ts";
import { ErrorNote } from "../../parts/states.tsx";
import { labelsIn } from "./label-list.ts";

/** The answer to the creation: the only one that has the text of the token. */
export interface CreatedToken {
  readonly name: string;
  readonly token: string;
}

/** What each scope allows. */
const SCOPES = {
  push: "stores samples",
  read: "PromQL, summaries, this page",
  sql: "SQL and exports: single rows",
  scrape: "/metrics and /federate",
  alerts: "sends alerts, as a Prometheus does",
  admin: "deletes, stops, creates tokens",
} as const;

/** Durations of the API, and what they are called. Empty: it does not expire. */
const EXPIRIES = {
  "": "never",
  "1d": "in a day",
  "7d": "in a week",
  "30d": "in 30 days",
  "90d": "in 90 days",
  "365d": "in a year",
} as const;

interface Draft {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly labels: string;
  readonly expires: string;
}

const EMPTY: Draft = { name: "", scopes: [], labels: "", expires: "90d" };

export function NewTokenForm({ onCreated }: { readonly onCreated: (created: CreatedToken) => void }) {
  const [draft, setDraft] = useState(EMPTY);
  const [state, setState] = useState<{ isBusy: boolean; error?: Error }>({ isBusy: false });
  const change = (changes: Partial<Draft>) => setDraft({ ...draft, ...changes });
  const create = async () => {
    setState({ isBusy: true });
    try {
      const { name, scopes, expires } = draft;
      const created = await askJson<CreatedToken>("/api/v1/tokens", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          name,
          scopes,
          labels: labelsIn(draft.labels),
          expires: expires === "" ? undefined : expires,
        }),
      });
      setDraft(EMPTY);
      setState({ isBusy: false });
      onCreated(created);
    } catch (error) {
      setState({ isBusy: false, error: error as Error });
    }
  };
  return (
    <form
      class="new-token"
      onSubmit={(event) => {
        event.preventDefault();
        void create();
      }}
    >
      <label>
        Name
        <input
          required
          maxLength={64}
          autocomplete="off"
          placeholder="ci"
          value={draft.name}
          onInput={(event) => change({ name: event.currentTarget.value })}
        />
      </label>
      <fieldset>
        <legend>Scopes</legend>
        {Object.entries(SCOPES).map(([scope, what]) => (
          <label key={scope}>
            <input
              type="checkbox"
              checked={draft.scopes.includes(scope)}
              onChange={(event) =>
                change({
                  scopes: event.currentTarget.checked
                    ? [...draft.scopes, scope]
                    : draft.scopes.filter((each) => each !== scope),
                })
              }
            />
            <span>{scope}</span> <span class="muted">{what}</span>
          </label>
        ))}
      </fieldset>
      <label>
        Labels
        <input
          autocomplete="off"
          placeholder="job=ci, site=east"
          aria-describedby="labels-of-token"
          value={draft.labels}
          onInput={(event) => change({ labels: event.currentTarget.value })}
        />
        <span id="labels-of-token" class="muted">
          They are added to what it pushes, and it reads only series that have them.
        </span>
      </label>
      <label>
        Expires
        <select value={draft.expires} onChange={(event) => change({ expires: event.currentTarget.value })}>
          {Object.entries(EXPIRIES).map(([duration, name]) => (
            <option key={duration} value={duration}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {state.error === undefined ? null : (
        <ErrorNote title="The token was not created" detail={state.error.message} />
      )}
      <button type="submit" disabled={state.isBusy || draft.name === "" || draft.scopes.length === 0}>
        Create the token
      </button>
    </form>
  );
}
