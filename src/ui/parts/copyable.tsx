/** A command that a button copies. */
import { useState } from "preact/hooks";

export function Copyable({ text }: { readonly text: string }) {
  const [state, setState] = useState("Copy");
  const copy = () => {
    // Browsers allow it only in secure contexts, such as loopback and https.
    const copied = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
    copied.then(
      () => setState("Copied"),
      () => setState("Select the text to copy it"),
    );
  };
  return (
    <div class="copyable">
      <pre>{text}</pre>
      <button type="button" onClick={copy}>
        {state}
      </button>
    </div>
  );
}
