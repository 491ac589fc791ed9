/** The tokens of the gateway: who may use it, for what, and when each was last used. They can be created and revoked. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, askJson } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { loadSession, session } from "../../api/session.ts";
import { formatAgo, formatTime } from "../../format/times.ts";
import { Confirm } from "../../parts/confirm.tsx";
import { Copyable } from "../../parts/copyable.tsx";
import { Panel } from "../../parts/panel.tsx";
import { Rows, type TableColumn } from "../../parts/rows.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { labelList } from "./label-list.ts";
import { type CreatedToken, NewTokenForm } from "./new-token-form.tsx";

interface ListedToken {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, number>>;
  readonly created: string;
  readonly expires: string | null;
  readonly isExpired: boolean;
  readonly lastUsed: string | null;
}

interface TokenList {
  readonly tokens: readonly ListedToken[];
  readonly changeable: boolean;
}

const REFRESH_MS = 15_000;

export default function TokensView() {
  const [created, setCreated] = useState<CreatedToken>();
  const [revoking, setRevoking] = useState<ListedToken>();
  const live = useLive((signal) => askJson<TokenList>("/api/v1/tokens", { signal }), 0);
  // The first token closes an open gateway. A request would then replace the view, and with it the only sight of the token.
  const isShown = created !== undefined;
  useEffect(() => {
    if (isShown) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) live.again();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [isShown]);
  const close = () => {
    setCreated(undefined);
    if (session.value?.open) loadSession().catch(() => undefined);
    live.again();
  };
  return (
    <div class="panels">
      <Panel title="Tokens" isWide>
        <Answered live={live} what="The tokens">
          {({ tokens, changeable }) => (
            <>
              {changeable ? null : (
                <p class="warning">
                  The token file is read-only here, so that tokens cannot be created or revoked on this page.
                  Change the file where it is made, with <code>weir token --token-file FILE</code>.
                </p>
              )}
              {tokens.length === 0 ? (
                <Empty>
                  {session.value?.open
                    ? "There is no token. Everyone who reaches this gateway may do everything, until the first one is created."
                    : "There is no token in the file. Requests need the one of the environment, or a user of web.yml."}
                </Empty>
              ) : (
                <TokenRows tokens={tokens} onRevoke={changeable ? setRevoking : undefined} />
              )}
            </>
          )}
        </Answered>
      </Panel>
      {live.answer?.changeable ? (
        <Panel title="Create a token" isWide>
          {session.value?.open ? (
            <p class="warning">
              This gateway is open. As soon as it has a token, every request needs one. Create one with the
              scopes admin and read first: it is what you sign in with.
            </p>
          ) : null}
          <NewTokenForm onCreated={setCreated} />
        </Panel>
      ) : null}
      {created === undefined ? null : <Secret created={created} onClose={close} />}
      {revoking === undefined ? null : (
        <Confirm
          title={`Revoke the token ${revoking.name}?`}
          action="Revoke"
          onConfirm={async () => {
            await ask(`/api/v1/tokens/${encodeURIComponent(revoking.name)}`, { method: "DELETE" });
            live.again();
          }}
          onClose={() => setRevoking(undefined)}
        >
          <p>Requests with it are rejected from now on. It cannot be restored.</p>
          {revoking.name === session.value?.name ? (
            <p>This page uses it, so you have to sign in again.</p>
          ) : null}
          {live.answer?.tokens.length === 1 ? (
            <p>
              It is the last one. A gateway that listens on loopback is open then; any other accepts no
              request.
            </p>
          ) : null}
        </Confirm>
      )}
    </div>
  );
}

interface TokenRowsProps {
  readonly tokens: readonly ListedToken[];
  /** Undefined if tokens cannot be revoked here. */
  readonly onRevoke: ((token: ListedToken) => void) | undefined;
}

function TokenRows({ tokens, onRevoke }: TokenRowsProps) {
  const columns = useMemo(() => columnsOf(Date.now(), onRevoke), [tokens, onRevoke === undefined]);
  return <Rows label="Tokens" rows={tokens} columns={columns} keyOf={({ name }) => name} />;
}

function columnsOf(nowMs: number, onRevoke: TokenRowsProps["onRevoke"]): TableColumn<ListedToken>[] {
  const time = (text: string | null) =>
    text === null ? (
      <span class="muted">never</span>
    ) : (
      <span title={formatTime(Date.parse(text))}>{formatAgo(Date.parse(text), nowMs)}</span>
    );
  const columns: TableColumn<ListedToken>[] = [
    { title: "Name", cell: ({ name }) => <code>{name}</code>, order: ({ name }) => name },
    { title: "Scopes", cell: ({ scopes }) => scopes.join(", ") },
    {
      title: "Labels",
      cell: ({ labels }) => labelList(labels) || <span class="muted">none</span>,
      order: ({ labels }) => labelList(labels),
    },
    {
      title: "Limits per second",
      cell: ({ limits = {} }) =>
        Object.entries(limits)
          .map(([what, rate]) => `${rate} ${what}`)
          .join(", ") || <span class="muted">none of its own</span>,
    },
    {
      title: "Created",
      isNumber: true,
      cell: ({ created }) => time(created),
      order: ({ created }) => created,
    },
    {
      title: "Expires",
      isNumber: true,
      cell: ({ expires, isExpired }) =>
        isExpired ? <span class="bad">expired {time(expires)}</span> : time(expires),
      order: ({ expires }) => expires ?? "9",
    },
    {
      title: "Last used",
      isNumber: true,
      cell: ({ lastUsed }) => time(lastUsed),
      order: ({ lastUsed }) => lastUsed ?? "",
    },
  ];
  if (onRevoke !== undefined)
    columns.push({
      title: "Actions",
      cell: (token) => (
        <button
          type="button"
          class="small"
          aria-label={`Revoke the token ${token.name}`}
          onClick={() => onRevoke(token)}
        >
          Revoke
        </button>
      ),
    });
  return columns;
}

interface SecretProps {
  readonly created: CreatedToken;
  readonly onClose: () => void;
}

/** The text of a new token, once. */
function Secret({ created: { name, token }, onClose }: SecretProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="confirm" aria-labelledby="new-token-title" onClose={onClose}>
      <h2 id="new-token-title">The token {name}</h2>
      <p>Copy it now: it is not shown again. The gateway keeps only its hash.</p>
      <Copyable text={token} />
      <p class="muted">
        Clients send it as <code>Authorization: Bearer TOKEN</code>, or as the password of basic
        authentication.
        {session.value?.open ? " Every request needs a token from now on, and this page asks for one." : ""}
      </p>
      <div class="bar">
        <button type="button" onClick={() => dialog.current?.close()}>
          I have copied it
        </button>
      </div>
    </dialog>
  );
}
