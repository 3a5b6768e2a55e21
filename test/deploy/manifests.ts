import {
  build,
  type Container,
  containersOf,
  type Manifest,
  type PodTemplate,
  templateOf,
} from './kustomize.js';

export type Labels = Readonly<Record<string, string>>;

/** What the overlays apply. */
export const overlays = ['single', 'many'] as const;
export const builds = Object.fromEntries(
  overlays.map((name) => [name, build(`deploy/kubernetes/overlays/${name}`)]),
) as Record<(typeof overlays)[number], Manifest[]>;

/** All of a kind. */
export const ofKind = (manifests: readonly Manifest[], kind: string): Manifest[] =>
  manifests.filter((manifest) => manifest.kind === kind);
/** @throws where there is none, or several */
export function only(manifests: readonly Manifest[], kind: string, name = 'atrium'): Manifest {
  const [found, ...others] = ofKind(manifests, kind).filter(({ metadata }) => metadata.name === name);
  if (!found || others.length > 0) throw new Error(`There should be one ${kind} ${name}`);
  return found;
}

/** Of each kind, what is looked at. */
interface Specs {
  Deployment: { selector: { matchLabels: Labels }; replicas?: number; progressDeadlineSeconds: number };
  Service: { selector: Labels; ports: { name: string; targetPort: string }[] };
  NetworkPolicy: {
    podSelector: { matchLabels: Labels };
    ingress: { ports: { port: string }[] }[];
    egress: { to?: object[]; ports: { protocol: string; port: number }[] }[];
  };
  PodDisruptionBudget: { selector: { matchLabels: Labels }; maxUnavailable: number };
  HorizontalPodAutoscaler: {
    scaleTargetRef: { apiVersion: string; kind: string; name: string };
    minReplicas: number;
  };
  ServiceMonitor: {
    jobLabel: string;
    selector: { matchLabels: Labels };
    endpoints: { port: string; path: string }[];
  };
  PrometheusRule: object;
}

export function specOf<Kind extends keyof Specs>(manifest: Manifest, kind: Kind): Specs[Kind] {
  if (manifest.kind !== kind) throw new Error(`${manifest.metadata.name} is no ${kind}`);
  return manifest['spec'] as Specs[Kind];
}

/** The settings of pods that are not secret. */
export const settingsOf = (manifests: readonly Manifest[]): Record<string, string> =>
  only(manifests, 'ConfigMap')['data'] as Record<string, string>;
/** Whether something has these labels, among others. */
export const has = (labels: Labels = {}, wanted: Labels): boolean =>
  Object.entries(wanted).every(([name, value]) => labels[name] === value);
/** The templates of all pods. */
export const pods = (manifests: readonly Manifest[]): PodTemplate[] =>
  manifests.map(templateOf).filter((template) => template !== undefined);
/** The pods that labels select. */
export const selected = (manifests: readonly Manifest[], labels: Labels): PodTemplate[] =>
  pods(manifests).filter(({ metadata }) => has(metadata.labels, labels));
/** The container that serves. */
export const server = (manifests: readonly Manifest[]): Container =>
  containersOf(only(manifests, 'Deployment'))[0];
