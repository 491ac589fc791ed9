/** Mends a rejected event, and pushes it in the place of what was sent. */
import { useId, useState } from "preact/hooks";
import { askJson } from "../../api/gateway-api.ts";
import { ErrorNote } from "../../parts/states.tsx";

interface MendProps {
  readonly id: number;
  /** The event as it was sent, or as far as it is known. */
  readonly event: string;
  /** It was stored, and has left the list. */
  readonly onStored: () => void;
}

interface MendAnswer {
  readonly selected: number;
  readonly samples: readonly { readonly result: string; readonly reason?: string }[];
}

const LINES_MAX = 20;

export function MendEvent({ id, event, onStored }: MendProps) {
  const [text, setText] = useState(event);
  const [state, setState] = useState<{ isBusy: boolean; error?: string }>({ isBusy: false });
  const hint = useId();
  const push = async () => {
    setState({ isBusy: true });
    try {
      const { samples } = await askJson<MendAnswer>("/api/v1/rejected/replay", {
        method: "POST",
        body: new URLSearchParams({ id: String(id), event: text }),
      });
      const [sample] = samples;
      if (sample !== undefined && sample.result !== "stored") {
        setState({ isBusy: false, error: sample.reason ?? "It cannot be replayed." });
        return;
      }
      setState({ isBusy: false });
      onStored();
    } catch (error) {
      setState({ isBusy: false, error: (error as Error).message });
    }
  };
  return (
    <form
      class="mend"
      onSubmit={(submitted) => {
        submitted.preventDefault();
        void push();
      }}
    >
      <label>
        The event, to be mended
        <textarea
          spellcheck={false}
          aria-describedby={hint}
          rows={Math.min(LINES_MAX, text.split("\n").length + 1)}
          value={text}
          onInput={(changed) => setText(changed.currentTarget.value)}
        />
      </label>
      <p id={hint} class="muted">
        It is stored in the place of what was sent, with the labels that its push added.
      </p>
      {state.error === undefined ? null : <ErrorNote title="The event was rejected" detail={state.error} />}
      <button type="submit" disabled={state.isBusy}>
        Push this event instead
      </button>
    </form>
  );
}
