import 'reflect-metadata';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getMetadataStorage } from 'class-validator';
import { Environment } from '../../src/config/environment.js';
import { loadConfig } from '../../src/config/config.js';
import { ManagementServer } from '../../src/observability/management/management-server.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { containersOf, documentsOf, root, templateOf } from './kustomize.js';
import {
  builds,
  has,
  ofKind,
  only,
  overlays,
  pods,
  selected,
  server,
  settingsOf,
  specOf,
} from './manifests.js';
import { schemaProblems } from './schemas.js';

/** Letting go of the database, after the drain (src/serve.ts). */
const LAST_MS = 2_000;
/** What a probe itself waits for the database, in seconds. */
const PROBE_PATIENCE_S = 2;
/** `LOCK_LIMIT_MS` of src/database/migrator.ts. */
const MIGRATION_WAIT_S = 600;
/** Without which nothing starts. */
const NEEDED_SECRETS = ['DATABASE_URL', 'TOKEN_SECRET'];

const variables = new Set(
  getMetadataStorage()
    .getTargetValidationMetadatas(Environment, '', false, false)
    .map(({ propertyName }) => propertyName),
);
let app: TestApp;
beforeAll(async () => {
  // As a pod runs, but for where it listens.
  const { MANAGEMENT_HOST: _, DATA_DIR: __, DRAIN_GRACE_MS: ___, ...settings } = settingsOf(builds.single);
  app = await startAtrium({ ...settings, MANAGEMENT_PORT: '0' });
});
afterAll(() => app.stop());

describe.each(overlays)('What overlays/%s applies', (overlay) => {
  const manifests = builds[overlay];

  it.each(manifests.map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, manifest] as const))(
    'is valid by the schemas of Kubernetes and of the operator: %s',
    async (_, manifest) => {
      expect(await schemaProblems(manifest)).toEqual([]);
    },
  );

  it('has nothing twice, nothing secret, and says of everything whose it is', () => {
    const names = manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    expect(ofKind(manifests, 'Secret')).toEqual([]);
    for (const { metadata } of manifests)
      expect(metadata.labels).toMatchObject({ 'app.kubernetes.io/name': 'atrium' });
  });

  it('selects the pods that there are: services, policies, budgets, spreads', () => {
    const deployment = only(manifests, 'Deployment');
    const own = templateOf(deployment)!;
    const { selector } = specOf(deployment, 'Deployment');
    expect(selected(manifests, selector.matchLabels)).toEqual([own]);
    for (const { labelSelector, matchLabelKeys } of own.spec.topologySpreadConstraints ?? []) {
      expect(selected(manifests, labelSelector.matchLabels)).toEqual([own]);
      // Else a release is spread around the pods that it replaces.
      expect(matchLabelKeys).toEqual(['pod-template-hash']);
    }
    for (const service of ofKind(manifests, 'Service'))
      expect(selected(manifests, specOf(service, 'Service').selector)).toEqual([own]);
    for (const budget of ofKind(manifests, 'PodDisruptionBudget'))
      expect(selected(manifests, specOf(budget, 'PodDisruptionBudget').selector.matchLabels)).toEqual([own]);
    // Of every pod there is a policy.
    const policed = ofKind(manifests, 'NetworkPolicy').flatMap((policy) =>
      selected(manifests, specOf(policy, 'NetworkPolicy').podSelector.matchLabels),
    );
    expect(policed).toHaveLength(pods(manifests).length);
    expect(new Set(policed)).toEqual(new Set(pods(manifests)));
  });

  it('names ports that the container has, which are those that the application listens on', () => {
    const ports = Object.fromEntries(
      (server(manifests).ports ?? []).map(({ name, containerPort }) => [name, containerPort]),
    );
    const { PORT = String(new Environment().PORT), MANAGEMENT_PORT } = settingsOf(manifests);
    expect(ports).toEqual({ http: Number(PORT), management: Number(MANAGEMENT_PORT) });
    const named = [
      ...ofKind(manifests, 'Service').flatMap((service) =>
        specOf(service, 'Service').ports.map(({ targetPort }) => targetPort),
      ),
      ...specOf(only(manifests, 'NetworkPolicy'), 'NetworkPolicy').ingress.flatMap((rule) =>
        rule.ports.map(({ port }) => port),
      ),
    ];
    expect(new Set(named)).toEqual(new Set(Object.keys(ports)));
  });

  it('asks probes that the application answers, and gives them the time that they take', async () => {
    const { startupProbe, readinessProbe, livenessProbe } = server(manifests);
    for (const probe of [startupProbe, readinessProbe, livenessProbe]) {
      expect(probe?.httpGet.port).toBe('http');
      expect((await http(app).get(probe!.httpGet.path)).status).toBe(200);
      expect(probe!.timeoutSeconds).toBeGreaterThan(PROBE_PATIENCE_S);
    }
    expect([startupProbe, readinessProbe, livenessProbe].map((probe) => probe?.httpGet.path)).toEqual([
      '/health/startup',
      '/health/ready',
      '/health/live',
    ]);
  });

  it('has a pod that waits for migrations say so itself, before it is killed or the release is taken for failed', () => {
    const { periodSeconds, failureThreshold } = server(manifests).startupProbe!;
    const allowed = periodSeconds * failureThreshold;
    const { progressDeadlineSeconds } = specOf(only(manifests, 'Deployment'), 'Deployment');
    expect(allowed).toBeGreaterThan(MIGRATION_WAIT_S);
    expect(progressDeadlineSeconds).toBeGreaterThan(allowed);
  });

  it('gives a pod that stops longer than its drain takes', () => {
    const { DRAIN_GRACE_MS, DRAIN_TIMEOUT_MS } = settingsOf(manifests);
    const limit = templateOf(only(manifests, 'Deployment'))!.spec.terminationGracePeriodSeconds! * 1_000;
    expect(limit).toBeGreaterThan(Number(DRAIN_GRACE_MS) + Number(DRAIN_TIMEOUT_MS) + LAST_MS);
  });

  it('sets variables that there are, to values that production takes', () => {
    for (const container of manifests.flatMap(containersOf))
      expect((container.env ?? []).map(({ name }) => name).filter((name) => !variables.has(name))).toEqual(
        [],
      );
    const settings = settingsOf(manifests);
    expect(Object.keys(settings).filter((name) => !variables.has(name))).toEqual([]);
    const secrets = {
      DATABASE_URL: 'postgresql://atrium:secret@db:5432/atrium',
      DATABASE_DIRECT_URL: 'postgresql://atrium:secret@db:5432/atrium',
      TOKEN_SECRET: 'a-secret-that-nobody-else-has-0123456789',
      SMTP_URL: 'smtps://user:secret@mail:465',
    };
    const config = loadConfig({ NODE_ENV: 'production', ...settings, ...secrets });
    expect(config.database.migrateAtStart).toBe(overlay === 'single');
  });

  it('takes secrets by reference, under their own names; what may be missing is optional', () => {
    for (const container of manifests.flatMap(containersOf)) {
      for (const { configMapRef, secretRef } of container.envFrom ?? []) {
        expect(secretRef).toBeUndefined();
        only(manifests, 'ConfigMap', configMapRef?.name);
      }
      for (const { name, value, valueFrom } of container.env ?? []) {
        expect([value, valueFrom?.secretKeyRef?.key]).toEqual([undefined, name]);
        expect(valueFrom?.secretKeyRef?.name).toBe('atrium');
        expect(valueFrom?.secretKeyRef?.optional ?? false).toBe(!NEEDED_SECRETS.includes(name));
      }
    }
    expect((server(manifests).env ?? []).map(({ name }) => name)).toEqual(
      expect.arrayContaining(NEEDED_SECRETS),
    );
    const settings = Object.keys(settingsOf(manifests));
    expect(settings.filter((name) => /SECRET|_URL$/.test(name) && name !== 'PUBLIC_URL')).toEqual([]);
  });
});

describe('Many instances', () => {
  const manifests = builds.many;

  it('are migrated by a job with the command of the image, and wait for it', () => {
    const [container] = containersOf(only(manifests, 'Job', 'atrium-migrate'));
    const [, file = '', command] = container?.command ?? [];
    expect(existsSync(join(root, file.replace(/^dist\//, '').replace(/\.js$/, '.ts')))).toBe(true);
    expect(command).toBe('run');
    expect(container?.image).toBe(server(manifests).image);
    expect(settingsOf(manifests)['MIGRATE_AT_START']).toBe('off');
    expect(settingsOf(builds.single)).not.toHaveProperty('MIGRATE_AT_START');
    expect(ofKind(builds.single, 'Job')).toEqual([]);
  });

  it('are as many as the autoscaler says, and leave one at a time', () => {
    const { scaleTargetRef, minReplicas } = specOf(
      only(manifests, 'HorizontalPodAutoscaler'),
      'HorizontalPodAutoscaler',
    );
    const deployment = only(manifests, scaleTargetRef.kind, scaleTargetRef.name);
    expect(deployment.apiVersion).toBe(scaleTargetRef.apiVersion);
    // It would set the number back with every change.
    expect(specOf(deployment, 'Deployment')).not.toHaveProperty('replicas');
    expect(specOf(only(manifests, 'PodDisruptionBudget'), 'PodDisruptionBudget').maxUnavailable).toBeLessThan(
      minReplicas,
    );
  });

  it('are found by Prometheus under the job that alerts and dashboard ask for', async () => {
    const monitor = specOf(only(manifests, 'ServiceMonitor'), 'ServiceMonitor');
    const services = ofKind(manifests, 'Service').filter(({ metadata }) =>
      has(metadata.labels, monitor.selector.matchLabels),
    );
    expect(services.map(({ metadata }) => metadata.labels?.[monitor.jobLabel])).toEqual(['atrium']);
    const ports = specOf(services[0], 'Service').ports.map(({ name }) => name);
    for (const { port, path } of monitor.endpoints) {
      expect(ports).toContain(port);
      const management = { url: `http://127.0.0.1:${app.nest.get(ManagementServer).port}` };
      expect((await http(management).get(path)).status).toBe(200);
    }
  });

  it('are watched by the alerts of deploy/prometheus', () => {
    const [alerts] = documentsOf<{ groups: object[] }>('deploy/prometheus/alerts.yaml');
    expect(specOf(only(manifests, 'PrometheusRule'), 'PrometheusRule')).toEqual(alerts);
  });
});

describe('The check', () => {
  it.each<[what: string, change: (manifest: Record<string, Record<string, unknown>>) => unknown]>([
    ['a field that there is not', (manifest) => (manifest['spec']['paused_'] = true)],
    ['a value of another type', (manifest) => (manifest['spec']['replicas'] = 'three')],
    ['a field that is missing', (manifest) => delete manifest['spec']['selector']],
  ])('finds %s', async (_, change) => {
    const manifest = structuredClone(only(builds.single, 'Deployment'));
    change(manifest as never);
    expect(await schemaProblems(manifest)).not.toEqual([]);
  });
});
