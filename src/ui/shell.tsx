/** What every view stands in: the navigation, the title and the place for the view. */
import { type ComponentType, lazy, Suspense } from "preact/compat";
import { useEffect } from "preact/hooks";
import { followLinks, place } from "./router.ts";
import { ErrorNote, Loading } from "./parts/states.tsx";
import { gatewayState } from "./api/gateway-state.ts";
import { VIEWS, type PageView } from "./page-views.ts";

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
  const { path } = place.value;
  const view = VIEWS.find((each) => isAt(each, path));
  const title = view?.title ?? "Not found";
  useEffect(() => {
    document.title = `${title} · Weir`;
  }, [title]);
  const Content = view && viewOf(view);
  return (
    <div class="shell">
      <a class="skip" href="#view" data-load>
        Skip to the content
      </a>
      <nav class="nav" aria-label="Views">
        <a class="brand" href="/">
          Weir
        </a>
        <ul>
          {VIEWS.filter(({ isHidden }) => !isHidden).map((each) => (
            <li key={each.path}>
              <a href={each.path} aria-current={each === view ? "page" : undefined}>
                {each.title}
              </a>
            </li>
          ))}
        </ul>
        <GatewayState />
      </nav>
      <main id="view" class="view" tabIndex={-1}>
        <h1>{title}</h1>
        {Content === undefined ? (
          <ErrorNote title={`There is no view at ${path}`} detail="The navigation lists all views." />
        ) : (
          <Suspense fallback={<Loading what={title} />}>
            <Content />
          </Suspense>
        )}
      </main>
    </div>
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
