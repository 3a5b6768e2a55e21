import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { build, type Manifest, root } from '../deploy/kustomize.js';

const byName = (manifests: readonly Manifest[]): Record<string, Manifest> =>
  Object.fromEntries(manifests.map((manifest) => [`${manifest.kind}/${manifest.metadata.name}`, manifest]));

describe('Kustomize', () => {
  it.each(['overlays/single', 'overlays/many', 'monitoring', 'base'])(
    'builds %s as the tests do',
    (folder) => {
      const built = execFileSync('kubectl', ['kustomize', join(root, 'deploy/kubernetes', folder)], {
        encoding: 'utf8',
      });
      const manifests = parseAllDocuments(built).map((document) => document.toJS() as Manifest);
      expect(byName(manifests)).toEqual(byName(build(`deploy/kubernetes/${folder}`)));
    },
  );
});
