/** Silences: which alerts nobody is told of, until when, and why. */
import { useState } from "preact/hooks";
import { ask } from "../../api/gateway-api.ts";
import type { Live } from "../../api/live.ts";
import { may, session } from "../../api/session.ts";
import { formatAgo, parseSpan } from "../../format/times.ts";
import { Panel } from "../../parts/panel.tsx";
import { Answered, Empty, ErrorNote } from "../../parts/states.tsx";
import { type ListedSilence, matchersText, parseMatchers } from "./rules-answer.ts";

interface SilencesPanelProps {
  readonly silences: Live<readonly ListedSilence[]>;
  /** The matchers in the form. */
  readonly draft: string;
  readonly onDraft: (text: string) => void;
  readonly onChanged: () => void;
}

export function SilencesPanel({ silences, draft, onDraft, onChanged }: SilencesPanelProps) {
  const [error, setError] = useState<string>();
  const expire = (id: string) => {
    ask(`/api/v2/silence/${encodeURIComponent(id)}`, { method: "DELETE" }).then(onChanged, (reason: Error) =>
      setError(reason.message),
    );
  };
  return (
    <Panel title="Silences" isWide>
      {error === undefined ? null : <ErrorNote title="The silence was not changed" detail={error} />}
      <Answered live={silences} what="The silences">
        {(all) => {
          const current = all.filter(({ status }) => status.state !== "expired");
          if (current.length === 0) return <Empty>No alert is silenced.</Empty>;
          return (
            <table>
              <thead>
                <tr>
                  <th>Alerts</th>
                  <th>Until</th>
                  <th>Why</th>
                  <th>By</th>
                  <th>
                    <span class="unseen">End</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {current.map((silence) => (
                  <tr key={silence.id}>
                    <td>
                      <code>{matchersText(silence.matchers)}</code>
                    </td>
                    <td>{formatAgo(Date.parse(silence.endsAt), Date.now())}</td>
                    <td>{silence.comment}</td>
                    <td>{silence.createdBy}</td>
                    <td>
                      {may("admin") ? (
                        <button type="button" onClick={() => expire(silence.id)}>
                          End now
                        </button>
                      ) : null}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          );
        }}
      </Answered>
      {may("admin") ? <SilenceForm {...{ draft, onDraft, onChanged }} /> : null}
    </Panel>
  );
}

function SilenceForm({
  draft,
  onDraft,
  onChanged,
}: Pick<SilencesPanelProps, "draft" | "onDraft" | "onChanged">) {
  const [error, setError] = useState<string>();
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    const matchers = parseMatchers(draft);
    const spanMs = parseSpan(String(fields.get("span")));
    if (matchers === undefined)
      return setError('Expected matchers such as alertname="HighErrorRate", instance=~"gpu-.*".');
    if (spanMs === undefined || spanMs === 0) return setError("Expected a time such as 2h.");
    const now = Date.now();
    const body = JSON.stringify({
      matchers,
      startsAt: new Date(now).toISOString(),
      endsAt: new Date(now + spanMs).toISOString(),
      createdBy: session.value?.name ?? "page",
      comment: String(fields.get("comment")),
    });
    ask("/api/v2/silences", { method: "POST", headers: { "content-type": "application/json" }, body }).then(
      () => {
        setError(undefined);
        onDraft("");
        form.reset();
        onChanged();
      },
      (reason: Error) => setError(reason.message),
    );
    return undefined;
  };
  return (
    <details open={draft !== ""}>
      <summary>Add a silence</summary>
      <form class="silence-form" onSubmit={send}>
        <label>
          Alerts that have
          <input
            name="matchers"
            required
            value={draft}
            placeholder='alertname="HighErrorRate", instance=~"gpu-.*"'
            onInput={(event) => onDraft(event.currentTarget.value)}
          />
        </label>
        <label>
          For
          <input name="span" required value="2h" size={6} />
        </label>
        <label>
          Why
          <input name="comment" required />
        </label>
        {error === undefined ? null : <ErrorNote title="There is no silence yet" detail={error} />}
        <button type="submit">Silence</button>
      </form>
    </details>
  );
}
