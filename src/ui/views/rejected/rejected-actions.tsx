/** Pushes rejected samples again, or deletes them: those that the filters select, after a dry run has counted them. */
import { useState } from "preact/hooks";
import { askJson } from "../../api/gateway-api.ts";
import { formatCount } from "../../format/units.ts";
import { Confirm } from "../../parts/confirm.tsx";
import { Panel } from "../../parts/panel.tsx";
import { ErrorNote } from "../../parts/states.tsx";
import type { RejectedFilters } from "./rejected-view.tsx";

interface ActionsProps {
  readonly filters: RejectedFilters;
  readonly onDone: () => void;
}

/** What a replay or a deletion answered, or would answer. Several requests are added up. */
interface ActionCounts {
  selected: number;
  accepted: number;
  duplicates: number;
  rejected: number;
  notReplayable: number;
  deleted: number;
  /** Why samples were rejected again, with their number. */
  readonly reasons: Map<string, number>;
}

interface ActionAnswer extends Partial<Record<Exclude<keyof ActionCounts, "reasons">, number>> {
  readonly samples?: readonly { readonly reason?: string }[];
  readonly next?: number;
}

type ActionName = "replay" | "clear";

/** An answer is about 1,000 samples at most, so more take several requests. */
async function act(name: ActionName, filters: RejectedFilters, isDry: boolean): Promise<ActionCounts> {
  const sum: ActionCounts = {
    ...{ selected: 0, accepted: 0, duplicates: 0, rejected: 0, notReplayable: 0, deleted: 0 },
    reasons: new Map(),
  };
  let before: number | undefined;
  do {
    const answer: ActionAnswer = await askJson<ActionAnswer>(`/api/v1/rejected/${name}`, {
      method: "POST",
      parameters: { ...filters, before, dry_run: String(isDry) },
    });
    for (const count of [
      "selected",
      "accepted",
      "duplicates",
      "rejected",
      "notReplayable",
      "deleted",
    ] as const)
      sum[count] += answer[count] ?? 0;
    for (const { reason } of answer.samples ?? [])
      if (reason !== undefined) sum.reasons.set(reason, (sum.reasons.get(reason) ?? 0) + 1);
    before = answer.next;
  } while (before !== undefined);
  return sum;
}

export function RejectedActions({ filters, onDone }: ActionsProps) {
  const [asked, setAsked] = useState<{ name: ActionName; dry: ActionCounts; filters: RejectedFilters }>();
  const [done, setDone] = useState<{ name: ActionName; counts: ActionCounts }>();
  const [error, setError] = useState<Error>();
  const [isBusy, setIsBusy] = useState(false);
  const ask = (name: ActionName) => {
    setIsBusy(true);
    setDone(undefined);
    setError(undefined);
    act(name, filters, true)
      .then((dry) => setAsked({ name, dry, filters }), setError)
      .finally(() => setIsBusy(false));
  };
  const chosen = Object.entries(filters).map(([name, value]) => `${name} ${value}`);
  return (
    <Panel
      title="Replay or delete"
      note={chosen.length === 0 ? "all rejected samples" : `those with ${chosen.join(", ")}`}
      isWide
    >
      <p class="muted">
        After you have mended the cause, such as a setting or a clock, a replay pushes the samples again. What
        is stored leaves the list, and what is rejected again stays in it.
      </p>
      <div class="bar">
        <button type="button" disabled={isBusy} onClick={() => ask("replay")}>
          Replay …
        </button>
        <button type="button" disabled={isBusy} onClick={() => ask("clear")}>
          Delete …
        </button>
      </div>
      {error === undefined ? null : <ErrorNote title="The dry run failed" detail={error.message} />}
      {done === undefined ? null : <Outcome {...done} />}
      {asked === undefined ? null : (
        <Question
          {...asked}
          onClose={() => setAsked(undefined)}
          onConfirm={async () => {
            setDone({ name: asked.name, counts: await act(asked.name, asked.filters, false) });
            onDone();
          }}
        />
      )}
    </Panel>
  );
}

interface QuestionProps {
  readonly name: ActionName;
  /** What the dry run counted. */
  readonly dry: ActionCounts;
  readonly onConfirm: () => Promise<void>;
  readonly onClose: () => void;
}

function Question({ name, dry: { selected, notReplayable }, onConfirm, onClose }: QuestionProps) {
  const count = name === "replay" ? selected - notReplayable : selected;
  const action = `${name === "replay" ? "Replay" : "Delete"} ${formatCount(count)} samples`;
  return (
    <Confirm title={`${action}?`} action={action} onConfirm={onConfirm} onClose={onClose}>
      <p>
        {name === "clear"
          ? "They cannot be replayed afterwards."
          : notReplayable === 0
            ? "Each is stored once, however often you replay it."
            : `${formatCount(notReplayable)} more cannot be replayed and stay in the list.`}
      </p>
    </Confirm>
  );
}

function Outcome({ name, counts }: { readonly name: ActionName; readonly counts: ActionCounts }) {
  return (
    <div class="state" role="status">
      {name === "clear"
        ? `${formatCount(counts.deleted)} samples were deleted.`
        : `${formatCount(counts.accepted)} samples were stored, and ${formatCount(counts.rejected)} were rejected again.`}
      {counts.reasons.size === 0 ? null : (
        <ul>
          {[...counts.reasons].slice(0, 10).map(([reason, count]) => (
            <li key={reason}>
              {formatCount(count)} × {reason}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
