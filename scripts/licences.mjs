// `npm run licences`: reads a CycloneDX bill of materials from standard input (`npm run sbom` writes one), prints how many
// packages are under which licence, and ends with 1 if one is under a licence that nobody has agreed to.
import { json } from 'node:stream/consumers';

/** SPDX identifiers of licences that ask for no more than to be named. */
const AGREED = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Python-2.0',
  'Unlicense',
]);
/** Packages that declare none where it can be read, and where they do. */
const DECLARED_ELSEWHERE = new Map([['pause@0.0.1', ['MIT', 'its Readme.md']]]);

/** Of `(A OR B)` one has to be agreed to, of `A AND B` both. */
function isAgreed(expression) {
  const alternatives = expression.replace(/[()]/g, '').split(' OR ');
  return alternatives.some((all) => all.split(' AND ').every((id) => AGREED.has(id.trim())));
}

function licenceOf({ name, version, licenses = [] }) {
  const declared = licenses.map(({ license, expression }) => expression ?? license.id ?? license.name);
  const [elsewhere] = DECLARED_ELSEWHERE.get(`${name}@${version}`) ?? [];
  return declared.join(' AND ') || (elsewhere ?? 'none');
}

const { components } = await json(process.stdin);
const byLicence = Map.groupBy(components, licenceOf);
for (const [licence, packages] of [...byLicence].sort(([, some], [, others]) => others.length - some.length))
  console.log(`${String(packages.length).padStart(5)}  ${licence}`);
const refused = [...byLicence].filter(([licence]) => !isAgreed(licence));
for (const [licence, packages] of refused)
  for (const { name, version } of packages) console.error(`${name}@${version} is under ${licence}`);
process.exitCode = refused.length === 0 && components.length > 0 ? 0 : 1;
