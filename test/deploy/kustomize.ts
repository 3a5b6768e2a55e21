import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { applyPatch, type Operation } from 'rfc6902';
import { parse, parseAllDocuments } from 'yaml';

export const root = resolve(import.meta.dirname, '../..');

/** An object of Kubernetes. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
}

interface Kustomization {
  readonly apiVersion: string;
  readonly kind: string;
  readonly resources?: readonly string[];
  readonly patches?: readonly { readonly target: { kind: string; name: string }; readonly path: string }[];
  readonly images?: readonly { readonly name: string; readonly newName: string; readonly newTag: string }[];
}

/** What {@link build} understands: with anything else it would build something else than Kustomize does. */
const UNDERSTOOD = new Set(['apiVersion', 'kind', 'resources', 'patches', 'images']);

/** Every document of a YAML file. @throws what is wrong with it */
export function documentsOf<T>(file: string): T[] {
  const documents = parseAllDocuments(readFileSync(join(root, file), 'utf8'), { uniqueKeys: true });
  return documents.map((document) => {
    for (const problem of [...document.errors, ...document.warnings]) throw problem;
    return document.toJS() as T;
  });
}

/**
 * Builds what `kubectl apply -k` would apply, as far as our kustomizations go; test/kubectl compares it with the real one.
 * @param folder relative to the repository
 * @throws where a path is missing, a patch meets nothing, or something is not understood
 */
export function build(folder: string): Manifest[] {
  const kustomization = parse(
    readFileSync(join(root, folder, 'kustomization.yaml'), 'utf8'),
  ) as Kustomization;
  const strange = Object.keys(kustomization).filter((field) => !UNDERSTOOD.has(field));
  if (strange.length > 0) throw new Error(`${folder}: ${strange.join(', ')} is not understood by the tests`);
  const manifests = (kustomization.resources ?? []).flatMap((resource) => {
    const path = relative(root, join(root, folder, resource));
    if (!existsSync(join(root, path))) throw new Error(`${folder}: ${resource} does not exist`);
    return statSync(join(root, path)).isDirectory() ? build(path) : documentsOf<Manifest>(path);
  });
  for (const { target, path } of kustomization.patches ?? []) {
    const met = manifests.filter(
      ({ kind, metadata }) => kind === target.kind && metadata.name === target.name,
    );
    if (met.length === 0) throw new Error(`${folder}: ${path} meets nothing`);
    const [operations = []] = documentsOf<Operation[]>(join(folder, path));
    for (const manifest of met)
      for (const problem of applyPatch(manifest, operations)) if (problem) throw problem;
  }
  for (const { name, newName, newTag } of kustomization.images ?? [])
    for (const container of manifests.flatMap(containersOf))
      if (container.image === name) container.image = `${newName}:${newTag}`;
  return manifests;
}

/** A container of a pod. */
export interface Container {
  name: string;
  image: string;
  command?: string[];
  ports?: { name: string; containerPort: number; hostPort?: number }[];
  envFrom?: { configMapRef?: { name: string }; secretRef?: { name: string } }[];
  env?: {
    name: string;
    value?: string;
    valueFrom?: { secretKeyRef?: { name: string; key: string; optional?: boolean } };
  }[];
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  securityContext?: Record<string, unknown>;
  [probe: `${string}Probe`]: Probe | undefined;
}

export interface Probe {
  httpGet: { path: string; port: string };
  periodSeconds: number;
  timeoutSeconds: number;
  failureThreshold: number;
}

/** What a Deployment or a Job runs. */
export interface PodTemplate {
  metadata: { labels: Record<string, string> };
  spec: {
    serviceAccountName?: string;
    automountServiceAccountToken?: boolean;
    terminationGracePeriodSeconds?: number;
    securityContext?: Record<string, unknown>;
    containers: Container[];
    volumes?: {
      name: string;
      emptyDir?: { sizeLimit: string };
      secret?: { secretName: string; optional?: boolean };
    }[];
    topologySpreadConstraints?: {
      labelSelector: { matchLabels: Record<string, string> };
      matchLabelKeys?: string[];
    }[];
    [field: string]: unknown;
  };
}

/** The template of its pods; `undefined` for what has none. */
export const templateOf = (manifest: Manifest): PodTemplate | undefined =>
  (manifest as { spec?: { template?: PodTemplate } }).spec?.template;

export const containersOf = (manifest: Manifest): Container[] => templateOf(manifest)?.spec.containers ?? [];
