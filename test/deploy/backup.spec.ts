import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { build, type PodTemplate, root } from './kustomize.js';
import { builds, has, only, overlays, specOf } from './manifests.js';
import { schemaProblems } from './schemas.js';

const manifests = build('deploy/kubernetes/components/backup');
const template = (
  only(manifests, 'CronJob', 'atrium-backup')['spec'] as {
    jobTemplate: { spec: { template: PodTemplate } };
  }
).jobTemplate.spec.template;
const [container] = template.spec.containers;

describe('The backup that overlays can take', () => {
  it.each(manifests.map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, manifest] as const))(
    'is valid by the schemas of Kubernetes: %s',
    async (_, manifest) => {
      expect(await schemaProblems(manifest)).toEqual([]);
    },
  );

  it.each(overlays)('has no name that overlays/%s has', (overlay) => {
    const names = [...builds[overlay], ...manifests].map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  it('runs the scripts of deploy/backup, as they are there', () => {
    const data = only(manifests, 'ConfigMap', 'atrium-backup')['data'] as Record<string, string>;
    for (const [name, text] of Object.entries(data))
      expect(text).toBe(readFileSync(join(root, 'deploy/backup', name), 'utf8'));
    const [command = ''] = container?.command ?? [];
    expect(Object.keys(data)).toEqual(expect.arrayContaining([command.replace('/scripts/', ''), 'dump.sh']));
    const [scripts] = template.spec.volumes ?? [];
    expect(scripts).toEqual({ name: 'scripts', configMap: { name: 'atrium-backup', defaultMode: 0o555 } });
  });

  it('takes the addresses by reference, and nothing else that is secret', () => {
    expect(container?.envFrom).toBeUndefined();
    for (const { name, value, valueFrom } of container?.env ?? []) {
      expect(value).toBeUndefined();
      expect(valueFrom?.secretKeyRef).toMatchObject({ name: 'atrium', key: name });
    }
    expect((container?.env ?? []).map(({ name }) => name)).toEqual(['DATABASE_URL', 'DATABASE_DIRECT_URL']);
  });

  it('is without root, without a token, without anything to write to but the volume of the dumps', () => {
    expect(template.spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(container?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const writable = (container?.volumeMounts ?? []).filter(({ readOnly }) => !readOnly);
    expect(writable.map(({ mountPath }) => mountPath)).toEqual(['/backups']);
    expect(container?.command).toContain('/backups');
  });

  it('reaches PostgreSQL and names, and is reached by nobody', () => {
    const policy = specOf(only(manifests, 'NetworkPolicy', 'atrium-backup'), 'NetworkPolicy');
    expect(has(template.metadata.labels, policy.podSelector.matchLabels)).toBe(true);
    expect(policy.ingress).toBeUndefined();
    expect(policy.egress.flatMap(({ ports }) => ports.map(({ port }) => port))).toEqual([53, 53, 5432]);
  });
});
