import 'reflect-metadata';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { CloseCode } from '../../src/rooms/close-codes.js';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const filesBelow = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file));

/** Files of the reader's, not of ours. */
const EXAMPLES = ['.env'];
/** Read by the tests alone. */
const TEST_VARIABLES = ['RACE_ROUNDS', 'TEST_DATABASE_URL'];

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  ...filesBelow('docs', '.md'),
  ...filesBelow('examples', '.md'),
];
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
const variables = [...read('.env.example').matchAll(/^([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name);

/** Code in running text: `like this`. */
const spans = (text: string): string[] =>
  [...text.replaceAll(/^```.*?^```$/gms, '').matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);

const TOP =
  /^(src|test|docs|migrations|bench|scripts|examples|deploy)\/|^\.(ci\/|env|dependency-cruiser)|^(Dockerfile|compose\.yaml)$/;

/** The headings' anchors, as they are made from their texts. */
const anchors = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );

describe.each(documents)('%s', (document) => {
  const text = read(document);

  it('links to what exists', () => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const broken = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? document : relative(root, resolve(root, dirname(document), path));
      return (
        !existsSync(join(root, target)) || (anchor !== undefined && !anchors(read(target)).includes(anchor))
      );
    });
    expect(broken).toEqual([]);
  });

  it('names paths that exist', () => {
    const paths = spans(text).filter(
      (span) => TOP.test(span) && !/[\s<>{}*…]/.test(span) && !EXAMPLES.includes(span),
    );
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('names scripts that are defined', () => {
    const named = [...text.matchAll(/npm run (?:-s )?([\w:-]+\w)/g)].map(([, script = '']) => script);
    expect(named.filter((script) => !(script in scripts))).toEqual([]);
    for (const script of ['start', 'test']) expect(scripts).toHaveProperty(script);
  });

  it('names variables that can be set', () => {
    const named = spans(text).flatMap((span) => span.match(/^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?==|$)/) ?? []);
    const unknown = named.filter((name) => !variables.includes(name) && !TEST_VARIABLES.includes(name));
    expect(unknown).toEqual([]);
  });
});

describe('docs/protocol.md', () => {
  const protocol = read('docs/protocol.md');

  it('explains every code that an error may carry', () => {
    const codes = filesBelow('src', '.ts').flatMap((file) =>
      [...read(file).matchAll(/\b(?:super|Problem)\(\s*\d{3},\s*'([a-z_]+)'/g)].map(([, code]) => code),
    );
    expect(codes).toContain('validation_failed');
    expect([...new Set(codes)].filter((code) => !protocol.includes(`\`${code}\``))).toEqual([]);
  });

  it('explains every code with which a socket may be closed', () => {
    expect(Object.values(CloseCode).filter((code) => !protocol.includes(`| ${code} |`))).toEqual([]);
  });
});

describe('docs/decisions', () => {
  it('are all in their index', () => {
    const files = readdirSync(join(root, 'docs/decisions')).filter((file) => /^\d{4}-/.test(file));
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((file) => !read('docs/decisions/README.md').includes(`(${file})`))).toEqual([]);
  });
});
