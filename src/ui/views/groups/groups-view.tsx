/** The groups of Pushgateway's API: when each was pushed, whether a push failed, when it expires. They can be deleted. */
import { useMemo, useState } from "preact/hooks";
import { ask, askJson } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { may } from "../../api/session.ts";
import { formatAgo, formatTime } from "../../format/times.ts";
import { formatCount } from "../../format/units.ts";
import { Confirm } from "../../parts/confirm.tsx";
import { Panel } from "../../parts/panel.tsx";
import { Rows, type TableColumn } from "../../parts/rows.tsx";
import { Answered, Empty, ErrorNote } from "../../parts/states.tsx";
import { place, setQuery } from "../../router.ts";
import { groupPath, groupText } from "./group-path.ts";

interface ListedGroup {
  readonly labels: Readonly<Record<string, string>>;
  readonly pushedAt: string | null;
  readonly failedAt: string | null;
  readonly expiresAt: string | null;
  readonly metrics: number;
  readonly series: number;
}

interface ListedGroups {
  readonly total: number;
  readonly groups: readonly ListedGroup[];
}

const REFRESH_MS = 10_000;

export default function GroupsView() {
  const live = useLive((signal) => askJson<ListedGroups>("/api/v1/groups", { signal }), REFRESH_MS);
  const [deleting, setDeleting] = useState<ListedGroup>();
  return (
    <div class="panels">
      <Answered live={live} what="The groups">
        {(listed) => <GroupList listed={listed} onDelete={setDeleting} />}
      </Answered>
      {may("admin") ? <DeleteByMatcher onDeleted={live.again} /> : null}
      {deleting === undefined ? null : (
        <Confirm
          title="Delete this group?"
          action="Delete"
          onConfirm={async () => {
            await ask(groupPath(deleting.labels), { method: "DELETE" });
            live.again();
          }}
          onClose={() => setDeleting(undefined)}
        >
          <p>
            <code>{groupText(deleting.labels)}</code>
          </p>
          <p>
            Its {formatCount(deleting.series)} series end, and /metrics does not show them any more. Earlier
            samples stay.
          </p>
        </Confirm>
      )}
    </div>
  );
}

interface GroupListProps {
  readonly listed: ListedGroups;
  readonly onDelete: (group: ListedGroup) => void;
}

function GroupList({ listed: { total, groups }, onDelete }: GroupListProps) {
  const search = place.value.query.get("search") ?? "";
  const words = search.toLowerCase();
  const found = useMemo(
    () => groups.filter(({ labels }) => groupText(labels).toLowerCase().includes(words)),
    [groups, words],
  );
  const columns = useMemo(() => columnsOf(Date.now(), onDelete), [groups]);
  if (total === 0)
    return (
      <Panel title="Groups" isWide>
        <Empty>
          No group was pushed. A batch job pushes one so:
          <pre>
            <code>
              {`echo "last_success_timestamp_seconds $(date +%s)" | curl --data-binary @- ${location.origin}/metrics/job/backup/instance/$HOSTNAME`}
            </code>
          </pre>
        </Empty>
      </Panel>
    );
  const note =
    groups.length < total
      ? `the first ${formatCount(groups.length)} of ${formatCount(total)}`
      : `${formatCount(found.length)} of ${formatCount(total)}`;
  return (
    <Panel title="Groups" note={<span role="status">{note}</span>} isWide>
      <div class="bar filters">
        <input
          type="search"
          aria-label="Search groups"
          placeholder="Label or value"
          value={search}
          onInput={(event) => setQuery({ search: event.currentTarget.value })}
        />
      </div>
      {found.length === 0 ? (
        <Empty>No group matches.</Empty>
      ) : (
        <Rows label="Groups" rows={found} columns={columns} keyOf={({ labels }) => JSON.stringify(labels)} />
      )}
    </Panel>
  );
}

function columnsOf(nowMs: number, onDelete: (group: ListedGroup) => void): TableColumn<ListedGroup>[] {
  const time = (text: string | null, otherwise: string) =>
    text === null ? (
      <span class="muted">{otherwise}</span>
    ) : (
      <span title={formatTime(Date.parse(text))}>{formatAgo(Date.parse(text), nowMs)}</span>
    );
  const hasFailed = ({ pushedAt, failedAt }: ListedGroup) =>
    failedAt !== null && (pushedAt === null || failedAt > pushedAt);
  const columns: TableColumn<ListedGroup>[] = [
    {
      title: "Group",
      cell: ({ labels }) => <code>{groupText(labels)}</code>,
      order: ({ labels }) => groupText(labels),
    },
    {
      title: "Metrics",
      isNumber: true,
      cell: ({ metrics }) => formatCount(metrics),
      order: ({ metrics }) => metrics,
    },
    {
      title: "Series",
      isNumber: true,
      cell: ({ series }) => formatCount(series),
      order: ({ series }) => series,
    },
    {
      title: "Last push",
      isNumber: true,
      cell: ({ pushedAt }) => time(pushedAt, "never"),
      order: ({ pushedAt }) => pushedAt ?? "",
    },
    {
      title: "Last failure",
      isNumber: true,
      cell: (group) => (
        <span class={hasFailed(group) ? "bad" : undefined}>
          {time(group.failedAt, "none")}
          {hasFailed(group) ? ", and no push since" : ""}
        </span>
      ),
      order: ({ failedAt }) => failedAt ?? "",
    },
    {
      title: "Expires",
      isNumber: true,
      cell: ({ expiresAt }) => time(expiresAt, "never"),
      order: ({ expiresAt }) => expiresAt ?? "9",
    },
  ];
  if (may("push"))
    columns.push({
      title: "Actions",
      cell: (group) => (
        <button
          type="button"
          class="small"
          aria-label={`Delete the group ${groupText(group.labels)}`}
          onClick={() => onDelete(group)}
        >
          Delete
        </button>
      ),
    });
  return columns;
}

interface Selection {
  readonly selector: string;
  readonly selected: number;
  readonly groups: readonly { readonly labels: Readonly<Record<string, string>> }[];
}

const countText = (groups: number) => (groups === 1 ? "1 group" : `${formatCount(groups)} groups`);

/** Deletes all groups that a selector selects, after it has shown which these are. */
function DeleteByMatcher({ onDeleted }: { readonly onDeleted: () => void }) {
  const [selector, setSelector] = useState("");
  const [selection, setSelection] = useState<Selection>();
  const [error, setError] = useState<Error>();
  const [isAsked, setIsAsked] = useState(false);
  const check = () => {
    setError(undefined);
    setSelection(undefined);
    const parameters = { "match[]": selector, dryRun: "true" };
    askJson<{ data: Omit<Selection, "selector"> }>("/metrics", { method: "DELETE", parameters }).then(
      ({ data }) => setSelection({ ...data, selector }),
      setError,
    );
  };
  const action = selection === undefined ? "" : `Delete ${countText(selection.selected)}`;
  return (
    <Panel title="Delete many groups" note="those that a selector of their labels selects" isWide>
      <form
        class="bar filters"
        onSubmit={(event) => {
          event.preventDefault();
          check();
        }}
      >
        <input
          type="search"
          aria-label="Selector of groups"
          placeholder='{job="backup", instance=~"db-.*"}'
          value={selector}
          onInput={(event) => {
            setSelector(event.currentTarget.value);
            setSelection(undefined);
          }}
        />
        <button type="submit" disabled={selector.trim() === ""}>
          Show what it selects
        </button>
      </form>
      {error === undefined ? null : (
        <ErrorNote title="The selector was not accepted" detail={error.message} />
      )}
      {selection === undefined ? null : selection.selected === 0 ? (
        <Empty>It selects no group.</Empty>
      ) : (
        <>
          <ul class="selected" aria-label="Selected groups">
            {selection.groups.slice(0, 20).map(({ labels }) => (
              <li key={groupText(labels)}>
                <code>{groupText(labels)}</code>
              </li>
            ))}
          </ul>
          {selection.selected > 20 ? (
            <p class="muted">and {formatCount(selection.selected - 20)} more</p>
          ) : null}
          <button type="button" class="danger" onClick={() => setIsAsked(true)}>
            {action}
          </button>
        </>
      )}
      {isAsked && selection !== undefined ? (
        <Confirm
          title={`${action}?`}
          action={action}
          onConfirm={async () => {
            await ask("/metrics", { method: "DELETE", parameters: { "match[]": selection.selector } });
            setSelection(undefined);
            onDeleted();
          }}
          onClose={() => setIsAsked(false)}
        >
          <p>
            <code>{selection.selector}</code>
          </p>
          <p>Their series end. Earlier samples stay.</p>
        </Confirm>
      ) : null}
    </Panel>
  );
}
