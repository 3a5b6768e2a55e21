import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { type PodTemplate, root } from './kustomize.js';
import { builds, ofKind, only, overlays, pods, settingsOf, specOf } from './manifests.js';

/** What Pod Security refuses at `restricted`, besides the users and capabilities that are looked at above. */
function restrictedProblems({ spec }: PodTemplate): string[] {
  const volumes = [
    'name',
    'configMap',
    'downwardAPI',
    'emptyDir',
    'persistentVolumeClaim',
    'projected',
    'secret',
  ];
  return [
    ...['hostNetwork', 'hostPID', 'hostIPC', 'sysctls'].filter((field) => field in spec),
    ...(spec.volumes ?? []).flatMap((volume) =>
      Object.keys(volume).filter((kind) => !volumes.includes(kind)),
    ),
    ...spec.containers.flatMap(({ ports }) =>
      (ports ?? []).flatMap(({ hostPort }) => hostPort ?? []).map(String),
    ),
  ];
}

const mebibytes = (text: string | undefined): number => {
  const [, amount, unit] = /^(\d+)(Mi|Gi)$/.exec(text ?? '') ?? [];
  return Number(amount) * (unit === 'Gi' ? 1_024 : 1);
};

describe.each(overlays)('What overlays/%s runs', (overlay) => {
  const manifests = builds[overlay];

  it('is without root, without a token, without anything to write to but /tmp', () => {
    only(manifests, 'ServiceAccount');
    expect(pods(manifests).flatMap(restrictedProblems)).toEqual([]);
    for (const { spec } of pods(manifests)) {
      expect(spec).toMatchObject({
        serviceAccountName: 'atrium',
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      });
      for (const { image, resources, securityContext, volumeMounts = [] } of spec.containers) {
        expect(image).toMatch(/^registry\.example\.com\/atrium:\d+\.\d+\.\d+$/);
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(resources).toMatchObject({
          requests: { cpu: expect.any(String), memory: expect.any(String) },
          limits: { memory: expect.any(String) },
        });
        const disk = (spec.volumes ?? []).flatMap(({ emptyDir }) => emptyDir?.sizeLimit ?? []).map(mebibytes);
        expect(mebibytes(resources?.limits?.['ephemeral-storage'])).toBeGreaterThan(Math.max(...disk));
        expect(volumeMounts.filter(({ readOnly }) => !readOnly).map(({ mountPath }) => mountPath)).toEqual([
          '/tmp',
        ]);
        for (const { name } of volumeMounts)
          expect((spec.volumes ?? []).map((volume) => volume.name)).toContain(name);
        expect(settingsOf(manifests)['DATA_DIR']).toMatch(/^\/tmp\//);
      }
    }
    // The user `node` of the image.
    expect(readFileSync(join(root, 'Dockerfile'), 'utf8')).toMatch(/^USER node$/m);
  });

  it('may ask for names, in the cluster or at its node, and for nothing of the node but that', () => {
    for (const policy of ofKind(manifests, 'NetworkPolicy')) {
      const { egress } = specOf(policy, 'NetworkPolicy');
      const names = egress.filter(({ ports }) => ports.some(({ port }) => port === 53));
      expect(names).toEqual([
        {
          to: [
            { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } },
            { ipBlock: { cidr: '169.254.20.10/32' } },
            { ipBlock: { cidr: '169.254.169.254/32' } },
          ],
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
      ]);
      // By HTTP, a node tells its pods of itself what is none of their business.
      expect(egress.flatMap(({ ports }) => ports).map(({ port }) => port)).not.toContain(80);
    }
  });
});
