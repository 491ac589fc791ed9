/**
 * Completes the list of components (SBOM) of a release. `npm sbom` knows the packages that are installed here, and names the
 * whole after the folder. It does not know Bun, which is in each of the files, and the libraries of DuckDB for other systems.
 *
 *   npm sbom --omit=dev --sbom-format=cyclonedx | bun bill-of-materials.ts
 */
import manifest from "../../package.json" with { type: "json" };
import { TARGETS } from "./target-packages.ts";

interface Component {
  readonly "bom-ref": string;
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
}

interface Bill {
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
}

const BINDING = "@duckdb/node-bindings";

/** The list with the program's own name, with Bun, and with the libraries of all systems. */
export function completedBill(bill: Bill): Bill {
  const { name, version } = manifest;
  const binding = bill.components.find((each) => each.name === BINDING)?.version;
  if (binding === undefined) throw new Error(`the list has no ${BINDING}`);
  const further = [
    packageOf("bun", manifest.packageManager.replace("bun@", "")),
    ...TARGETS.map((target) => packageOf(`${BINDING}-${target}`, binding)),
  ].filter((added) => !bill.components.some((each) => each.name === added.name));
  return {
    ...bill,
    metadata: {
      ...bill.metadata,
      component: { ...bill.metadata.component, name, version, purl: `pkg:npm/${name}@${version}` },
    },
    components: [...bill.components, ...further].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

function packageOf(name: string, version: string): Component {
  return {
    ...{ "bom-ref": `${name}@${version}`, type: "library", name, version },
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
  };
}

if (import.meta.main)
  console.log(JSON.stringify(completedBill((await Bun.stdin.json()) as Bill), undefined, 2));
