/** A question before something that cannot be undone. Escape and the first button cancel it. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ErrorNote } from "./states.tsx";

interface ConfirmProps {
  readonly title: string;
  /** What the button says that does it: `Delete 3 groups`. */
  readonly action: string;
  /** What it does. The question stays open with its error if it fails. */
  readonly onConfirm: () => Promise<void>;
  /** It was cancelled, or is done. */
  readonly onClose: () => void;
  readonly children?: ComponentChildren;
}

export function Confirm({ title, action, onConfirm, onClose, children }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [state, setState] = useState<{ isBusy: boolean; error?: Error }>({ isBusy: false });
  useEffect(() => dialog.current?.showModal(), []);
  const confirm = () => {
    setState({ isBusy: true });
    onConfirm().then(onClose, (error: Error) => setState({ isBusy: false, error }));
  };
  return (
    <dialog ref={dialog} class="confirm" aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
      {state.error === undefined ? null : (
        <ErrorNote title="The gateway did not do it" detail={state.error.message} />
      )}
      <div class="bar">
        <button type="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class="danger" disabled={state.isBusy} onClick={confirm}>
          {action}
        </button>
      </div>
    </dialog>
  );
}
