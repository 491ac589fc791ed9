/** The form that asks for a token. */
import { useState } from "preact/hooks";
import { signIn } from "../../api/session.ts";
import { ErrorNote } from "../../parts/states.tsx";

export function SignIn() {
  const [error, setError] = useState<Error>();
  const [isSending, setIsSending] = useState(false);
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const token = String(new FormData(form).get("token") ?? "").trim();
    setIsSending(true);
    signIn(token)
      .catch((reason: Error) => setError(reason))
      .finally(() => setIsSending(false));
  };
  return (
    <section class="panel sign-in" aria-labelledby="sign-in-title">
      <h2 id="sign-in-title">Sign in</h2>
      <p>
        This gateway needs a token. <code>weir token create --name me --scope read,sql</code> makes one.
      </p>
      <form onSubmit={send}>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required />
        <button type="submit" disabled={isSending}>
          Sign in
        </button>
      </form>
      {error === undefined ? null : <ErrorNote title="You are not signed in" detail={error.message} />}
      <p class="muted">The token is kept in a cookie that no script can read, for this gateway only.</p>
    </section>
  );
}
