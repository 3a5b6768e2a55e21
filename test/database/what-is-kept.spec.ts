import 'reflect-metadata';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { getMetadataArgsStorage } from 'typeorm';
import { entities } from '../../src/database/entities.js';

const root = resolve(import.meta.dirname, '../..');
const operations = readFileSync(resolve(root, 'docs/operations.md'), 'utf8');
const [, section = ''] = /^## What is kept, and for how long$(.*?)^## /ms.exec(operations) ?? [];
const rows = [...section.matchAll(/^\| (`.*) \|$/gm)].map(([, row = '']) => row.split(/ *\| */));
const spans = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);

describe('What is kept, and for how long', () => {
  it('is said of every table, once', () => {
    const tables = getMetadataArgsStorage()
      .tables.filter(({ target }) => entities.includes(target as (typeof entities)[number]))
      .map(({ name }) => name);
    expect(tables.length).toBe(entities.length);
    expect(rows.flatMap(([table = '']) => spans(table)).sort()).toEqual([...tables].sort());
  });

  it('is kept by a spec in each case', () => {
    for (const [table, , , specs = ''] of rows) {
      expect([table, spans(specs)]).not.toEqual([table, []]);
      expect([table, spans(specs).filter((spec) => !existsSync(resolve(root, spec)))]).toEqual([table, []]);
    }
  });
});
