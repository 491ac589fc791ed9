/**
 * The labels of a data point, from its own attributes and those of its resource and scope, as Prometheus writes them
 * (https://github.com/open-telemetry/opentelemetry-specification/blob/main/specification/compatibility/prometheus_and_openmetrics.md).
 * Pure.
 *
 * `service.namespace/service.name` of the resource is `job`, and `service.instance.id` is `instance`. Both replace
 * attributes of the point that have these names. The other attributes of the resource are labels of `target_info`, and
 * labels of each point where a setting promotes them. An attribute of the point takes precedence over a promoted one.
 */
import { quote } from "../../../model/errors.ts";
import type { Labels } from "../../../model/sample.ts";
import { type Attribute, InvalidAttribute } from "./attribute-values.ts";
import { labelName, type Translation } from "./translated-names.ts";

/** The settings of labels and names. */
export interface LabelOptions {
  readonly translation: Translation;
  /** Attributes of a resource that become labels of its points; `all` stands for all. */
  readonly promoteResourceAttributes: readonly string[];
  /** Attributes that `all` leaves out. */
  readonly ignoreResourceAttributes: readonly string[];
  /** Whether points get the name, version, schema URL and attributes of their scope as labels. */
  readonly promoteScope: boolean;
}

/** The attributes that `job` and `instance` are made of. */
const [NAMESPACE, SERVICE, INSTANCE] = ["service.namespace", "service.name", "service.instance.id"];
const IDENTIFYING: readonly string[] = [NAMESPACE, SERVICE, INSTANCE];

/** What the points of a resource get from it. */
export interface ResourceLabels {
  /** Promoted attributes, by the name of their label. */
  readonly promoted: Labels;
  readonly job: string | undefined;
  readonly instance: string | undefined;
  /** The labels of `target_info`. Undefined if the resource has none, or no `job` and `instance`. */
  readonly target: Labels | undefined;
}

/** @throws InvalidAttribute when a name of an attribute cannot be the name of a label */
export function resourceLabels(attributes: readonly Attribute[], options: LabelOptions): ResourceLabels {
  const first = (name: string) => attributes.find(([key]) => key === name)?.[1];
  const [namespace, service, instance] = [first(NAMESPACE), first(SERVICE), first(INSTANCE)];
  const job =
    service === undefined ? undefined : namespace === undefined ? service : `${namespace}/${service}`;
  const promotes = promotion(options);
  const promoted = new Map<string, string>();
  for (const [key, value] of byKey(attributes.filter(([name]) => promotes(name)))) {
    const label = labelOf(key, options.translation);
    if (!promoted.has(label)) promoted.set(label, value);
  }
  const others = attributes.filter(([key]) => !IDENTIFYING.includes(key));
  const identity = { job, instance };
  if (others.length === 0 || (!job && !instance)) return { ...identity, promoted, target: undefined };
  const target = joined(others, options.translation);
  return { ...identity, promoted, target: finished(target, identity) };
}

/** An instrumentation scope. */
export interface InstrumentationScope {
  readonly name: string;
  readonly version: string;
  readonly schemaUrl: string;
  readonly attributes: readonly Attribute[];
}

/**
 * The labels that points get from their scope: none, unless the setting asks for them and the scope has a name.
 *
 * @throws InvalidAttribute when a name of an attribute cannot be the name of a label
 */
export function scopeLabels(
  { name, version, schemaUrl, attributes }: InstrumentationScope,
  options: LabelOptions,
): Labels {
  const labels = new Map<string, string>();
  if (!options.promoteScope || name === "") return labels;
  labels
    .set("otel_scope_name", name)
    .set("otel_scope_version", version)
    .set("otel_scope_schema_url", schemaUrl);
  for (const [key, value] of attributes) labels.set(labelOf(`otel_scope_${key}`, options.translation), value);
  return labels;
}

/** The labels of a point, and which of its attributes `job` and `instance` of the resource replace. */
interface PointLabels {
  readonly labels: Labels;
  readonly replaced: readonly string[];
}

/** @throws InvalidAttribute when a name of an attribute cannot be the name of a label */
export function pointLabels(
  attributes: readonly Attribute[],
  resource: ResourceLabels,
  scope: Labels,
  { translation }: LabelOptions,
): PointLabels {
  const labels = joined(attributes, translation);
  const replaced = (["job", "instance"] as const).filter(
    (name) => resource[name] !== undefined && labels.has(name) && labels.get(name) !== resource[name],
  );
  for (const [name, value] of resource.promoted) if (!labels.has(name)) labels.set(name, value);
  for (const [name, value] of scope) labels.set(name, value);
  return { labels: finished(labels, resource), replaced };
}

/** The labels with one more, in order. */
export function withOne(labels: Labels, name: string, value: string): Labels {
  return new Map([...labels, [name, value] as const].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function promotion(options: LabelOptions): (name: string) => boolean {
  const named = new Set(options.promoteResourceAttributes);
  if (!named.has("all")) return (name) => named.has(name);
  const ignored = new Set(options.ignoreResourceAttributes);
  return (name) => !ignored.has(name);
}

/** Attributes by the names of their labels. The values of attributes whose labels have the same name are joined. */
function joined(attributes: readonly Attribute[], translation: Translation): Map<string, string> {
  const labels = new Map<string, string>();
  for (const [key, value] of byKey(attributes)) {
    const label = labelOf(key, translation);
    const before = labels.get(label);
    labels.set(label, before === undefined ? value : `${before};${value}`);
  }
  return labels;
}

/** Adds `job` and `instance`, drops empty values, and sorts. */
function finished(
  labels: Map<string, string>,
  { job, instance }: Pick<ResourceLabels, "job" | "instance">,
): Labels {
  if (job !== undefined) labels.set("job", job);
  if (instance !== undefined) labels.set("instance", instance);
  return new Map([...labels].filter(([, value]) => value !== "").sort(([a], [b]) => (a < b ? -1 : 1)));
}

function labelOf(key: string, translation: Translation): string {
  const label = labelName(key, translation);
  if (label !== undefined) return label;
  throw new InvalidAttribute(
    key === ""
      ? "an attribute has an empty name"
      : `attribute ${quote(key)} cannot be a label: no letter or digit of its name remains in Prometheus`,
  );
}

function byKey(attributes: readonly Attribute[]): Attribute[] {
  return [...attributes].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
