/** What every view stands in: the navigation, the title and the place for the view. */
import { type ComponentType, lazy, Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { followLinks, place } from "./router.ts";
import { ErrorNote, Loading } from "./parts/states.tsx";
import { gatewayState } from "./api/gateway-state.ts";
import { isBound, loadSession, may, session, signOut } from "./api/session.ts";
import { signInIsNeeded } from "./api/sign-in-state.ts";
import { viewTitle } from "./view-title.ts";
import { VIEWS, type PageView } from "./page-views.ts";
import { SignIn } from "./views/sign-in/sign-in.tsx";

/** Each view is loaded when it is first shown, so that the first one appears early. */
const loaded = new Map<string, ComponentType>();
function viewOf(view: PageView): ComponentType {
  let found = loaded.get(view.path);
  if (found === undefined) {
    found = lazy(view.load);
    loaded.set(view.path, found);
  }
  return found;
}

const isAt = (view: PageView, path: string) =>
  path === view.path || (view.isPrefix && path.startsWith(view.path));

export function Shell() {
  useEffect(followLinks, []);
  useEffect(() => {
    // The views say themselves if the gateway does not answer.
    loadSession().catch(() => undefined);
  }, []);
  const { path } = place.value;
  const view = VIEWS.find((each) => isAt(each, path));
  const title = viewTitle.value ?? view?.title ?? "Not found";
  useEffect(() => {
    document.title = `${title} · Weir`;
  }, [title]);
  return (
    <div class="shell">
      <a class="skip" href="#view" data-load>
        Skip to the content
      </a>
      <Navigation view={view} />
      <main id="view" class="view" tabIndex={-1}>
        <h1>{title}</h1>
        {signInIsNeeded.value ? <SignIn /> : <Content view={view} path={path} />}
      </main>
    </div>
  );
}

/** The views that the token allows. On a narrow screen a button opens them, so that they take one line. */
function Navigation({ view }: { readonly view: PageView | undefined }) {
  const [isOpen, setOpen] = useState(false);
  const { path } = place.value;
  useEffect(() => setOpen(false), [path]);
  return (
    <nav
      class={isOpen ? "nav open" : "nav"}
      aria-label="Views"
      onKeyDown={({ key }) => {
        if (key === "Escape") setOpen(false);
      }}
    >
      <a class="brand" href="/">
        Weir
      </a>
      <button
        type="button"
        class="views"
        aria-expanded={isOpen}
        aria-controls="views"
        onClick={() => setOpen(!isOpen)}
      >
        Views
      </button>
      <div id="views">
        <ul>
          {VIEWS.filter(
            ({ isHidden, isOfAll, scope }) =>
              !isHidden && !(isOfAll && isBound()) && (scope === undefined || may(scope)),
          ).map((each) => (
            <li key={each.path}>
              <a
                href={each.path}
                aria-current={each === view || each.path === view?.partOf ? "page" : undefined}
                onClick={() => setOpen(false)}
              >
                {each.title}
              </a>
            </li>
          ))}
        </ul>
        <SignedIn />
      </div>
      <GatewayState />
    </nav>
  );
}

function Content({ view, path }: { readonly view: PageView | undefined; readonly path: string }) {
  if (view === undefined)
    return <ErrorNote title={`There is no view at ${path}`} detail="The navigation lists all views." />;
  const { title, scope, isOfAll } = view;
  // A request before the answer would fail if the scope is missing.
  if (session.value === undefined && gatewayState.value === "here") return <Loading what={title} />;
  if (session.value !== undefined && scope !== undefined && !may(scope))
    return <ErrorNote title={`Your token does not have the scope ${scope}`} detail={`${title} needs it.`} />;
  if (isOfAll && isBound())
    return <ErrorNote title="Your token has labels" detail={`${title} shows what all workers sent.`} />;
  const Loaded = viewOf(view);
  return (
    <Suspense fallback={<Loading what={title} />}>
      <Loaded />
    </Suspense>
  );
}

/** Whose token the page uses. */
function SignedIn() {
  const known = session.value;
  if (known === undefined || known.open || known.name === null) return null;
  const labels = Object.entries(known.labels).map(([name, value]) => `${name}=${value}`);
  return (
    <p class="signed-in">
      <span title="The token of this browser">{known.name}</span>
      {labels.length === 0 ? null : <span class="muted"> {labels.join(", ")}</span>}
      <button type="button" onClick={() => void signOut()}>
        Sign out
      </button>
    </p>
  );
}

/** Says when the gateway does not answer, and when it does again. */
function GatewayState() {
  const state = gatewayState.value;
  return (
    <p class={`gateway ${state}`} role="status">
      {state === "away" ? "The gateway does not answer" : ""}
    </p>
  );
}
