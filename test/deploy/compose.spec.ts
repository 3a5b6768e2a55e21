import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { getMetadataStorage } from 'class-validator';
import { loadConfig } from '../../src/config/config.js';
import { Environment } from '../../src/config/environment.js';
import { documentsOf } from './kustomize.js';

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const [{ services, volumes }] = documentsOf<{
  services: Readonly<Record<string, Service>>;
  volumes: Readonly<Record<string, unknown>>;
}>('compose.yaml') as [{ services: Record<string, Service>; volumes: Record<string, unknown> }];
const { atrium, ...others } = services;
const settings = atrium?.environment ?? {};

describe('compose.yaml', () => {
  it('sets variables that there are, to values that a start takes', () => {
    const known = getMetadataStorage()
      .getTargetValidationMetadatas(Environment, '', false, false)
      .map(({ propertyName }) => propertyName);
    expect(Object.keys(settings).filter((name) => !known.includes(name))).toEqual([]);
    expect(loadConfig(settings).database.url).toBe(settings['DATABASE_URL']);
  });

  it('leads to the services that it starts, with the account that these have', () => {
    const addresses = ['DATABASE_URL', 'REDIS_URL', 'SMTP_URL', 'OTEL_EXPORTER_OTLP_ENDPOINT'].map(
      (name) => new URL(settings[name] ?? ''),
    );
    expect(addresses.map(({ hostname }) => hostname)).toEqual(['postgres', 'redis', 'mailpit', 'jaeger']);
    const { username, password, pathname } = addresses[0];
    expect(others['postgres']?.environment).toEqual({
      POSTGRES_USER: username,
      POSTGRES_PASSWORD: password,
      POSTGRES_DB: pathname.slice(1),
    });
  });

  it('takes images of one version each, and keeps every port on this machine', () => {
    expect(atrium?.build).toBe('.');
    for (const { image } of Object.values(others)) expect(image).toMatch(/^[\w./-]+:v?\d+\.\d+(\.\d+)?$/);
    for (const port of Object.values(services).flatMap((service) => service.ports ?? []))
      expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it('waits for what it needs, and gives a stop the time that it takes', () => {
    for (const [name, { condition }] of Object.entries(atrium?.depends_on ?? {})) {
      expect(services).toHaveProperty(name);
      if (condition === 'service_healthy') expect(services[name]?.healthcheck).toBeDefined();
    }
    // On its socket a server answers that makes the database and stops again; by TCP there is the one that stays.
    expect(others['postgres']?.healthcheck?.test.join(' ')).toMatch(/^CMD pg_isready -h 127\.0\.0\.1 /);
    const { drainGraceMs, drainTimeoutMs } = loadConfig(settings).http;
    expect(Number.parseInt(atrium?.stop_grace_period ?? '0') * 1_000).toBeGreaterThan(
      drainGraceMs + drainTimeoutMs + 2_000,
    );
    const named = Object.values(services).flatMap((service) => service.volumes ?? []);
    expect(named.map((volume) => volume.split(':')[0]).filter((name) => !(name in volumes))).toEqual([]);
  });
});
