/** The states of a panel beside its content: it loads, it has nothing to show, it failed. */
import type { ComponentChildren } from "preact";
import type { Live } from "../api/live.ts";

export function Loading({ what, onCancel }: { readonly what: string; readonly onCancel?: () => void }) {
  return (
    <div class="state loading" role="status">
      Loading {what} …{" "}
      {onCancel === undefined ? null : (
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
      )}
    </div>
  );
}

/** Nothing to show, and what to do about it. */
export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <div class="state empty">{children}</div>;
}

export function ErrorNote({ title, detail }: { readonly title: string; readonly detail?: string }) {
  return (
    <div class="state error" role="alert">
      <strong>{title}</strong>
      {detail === undefined ? null : <p>{detail}</p>}
    </div>
  );
}

/** The content of an answer once there is one. An old answer stays under the error of a later request. */
export function Answered<Answer>({
  live,
  what,
  onCancel,
  children,
}: {
  readonly live: Live<Answer>;
  readonly what: string;
  /** Cancels the first request. A button for it is shown while it loads. */
  readonly onCancel?: () => void;
  readonly children: (answer: Answer) => ComponentChildren;
}) {
  const { answer, error } = live;
  return (
    <>
      {error === undefined ? null : (
        <ErrorNote title={`${what} could not be loaded`} detail={error.message} />
      )}
      {answer === undefined ? (
        error === undefined ? (
          <Loading what={what.charAt(0).toLowerCase() + what.slice(1)} onCancel={onCancel} />
        ) : null
      ) : (
        children(answer)
      )}
    </>
  );
}
