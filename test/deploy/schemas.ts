import type { Manifest } from './kustomize.js';

/** Of kubernetes-models: checks itself by the schema of its kind, and throws what is wrong. */
type ModelClass = new (data: object) => { validate(): void };

const OPERATOR = 'monitoring.coreos.com/v1';

/** What is wrong with an object by the schema of Kubernetes, or of the Prometheus operator; fields that it has not included. */
export async function schemaProblems(manifest: Manifest): Promise<string[]> {
  const { apiVersion, kind } = manifest;
  const library = apiVersion === OPERATOR ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models';
  const models = (await import(`${library}/${apiVersion}/${kind}`)) as Record<string, ModelClass>;
  const Model = models[kind];
  if (!Model) return [`${apiVersion} has no ${kind}`];
  const model = new Model(manifest);
  const asked = new Map<object, Set<string>>();
  try {
    watched(model, asked).validate();
  } catch (error) {
    return [(error as Error).message];
  }
  return unasked(model, asked, '');
}

/** The schemas let unknown fields pass, but a check never looks at one: which it looks at is noted in `asked`. */
function watched<T extends object>(target: T, asked: Map<object, Set<string>>): T {
  return new Proxy(target, {
    get: (object, field, self): unknown => {
      const value: unknown = Reflect.get(object, field, self);
      if (typeof field === 'string') {
        const fields = asked.get(object) ?? new Set();
        asked.set(object, fields.add(field));
      }
      return typeof value === 'object' && value !== null ? watched(value, asked) : value;
    },
  });
}

function unasked(value: unknown, asked: ReadonlyMap<object, ReadonlySet<string>>, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([field, inner]) =>
    asked.get(value)?.has(field)
      ? unasked(inner, asked, `${path}/${field}`)
      : [`${path}/${field} is no field of it`],
  );
}
