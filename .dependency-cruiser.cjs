/**
 * The house's import rules (docs/architecture.md), run by `npm run lint:imports`. Imports point one way: a folder
 * of src imports itself and the folders listed here, nothing else. A folder that is not listed is a feature.
 */
const ground = ['common', 'config', 'database'];
const mayImport = {
  common: [],
  config: ['common'],
  database: ['common', 'config'],
  // How instances tell each other; knows no feature.
  bus: [...ground],
  // Work that outlives a request; knows no feature.
  jobs: [...ground, 'bus'],
  audit: [...ground, 'jobs'],
  mail: [...ground],
  // Repeated requests, whatever they ask for; knows no feature.
  idempotency: [...ground, 'jobs'],
  accounts: [...ground, 'audit', 'idempotency', 'mail', 'rate-limits'],
  'rate-limits': [...ground, 'bus', 'jobs'],
  sessions: [...ground, 'bus', 'jobs', 'audit', 'idempotency', 'accounts', 'rate-limits'],
  oauth: [...ground, 'audit', 'accounts', 'sessions'],
  mfa: [...ground, 'audit', 'idempotency', 'mail', 'rate-limits', 'accounts', 'sessions'],
  // Membership changes are events of the workspace's stream.
  workspaces: [...ground, 'jobs', 'audit', 'mail', 'idempotency', 'accounts', 'sessions', 'events'],
  events: [...ground, 'bus', 'jobs'],
  rooms: [...ground, 'bus', 'sessions', 'workspaces', 'events'],
  // Tokens for agents; accounts approve devices.
  'oauth-server': [
    ...ground,
    'accounts',
    'audit',
    'idempotency',
    'rate-limits',
    'sessions',
    'workspaces',
    'events',
    'agents',
  ],
  // Work on items: what a lease allows is an item's write. Agents are there, and given work, by their sockets.
  leases: [
    ...ground,
    'jobs',
    'audit',
    'sessions',
    'workspaces',
    'events',
    'items',
    'agents',
    'rooms',
    'idempotency',
  ],
  // Administration without a server; reads tables, and changes by the services that requests use.
  cli: [
    ...ground,
    'bus',
    'audit',
    'accounts',
    'rate-limits',
    'sessions',
    'mfa',
    'events',
    'agents',
    'jobs',
    'leases',
  ],
  // A feature, but for one thing: what is said by a request is published as from a socket.
  'custom-rooms': [...ground, 'jobs', 'audit', 'idempotency', 'sessions', 'workspaces', 'events', 'rooms'],
};
/** Beside the features: says who may join a workspace's room. */
const registersRooms = ['workspaces'];
const featureMayImport = [...ground, 'jobs', 'audit', 'idempotency', 'sessions', 'workspaces', 'events'];

/** The one list that names every feature's tables. */
const ENTITY_LIST = '^src/database/entities\\.ts$';
/** All that a feature sees of live delivery: the decorator by which it says who may join its rooms. */
const ROOM_AUTHORISER = '^src/rooms/room-authoriser[^/]*\\.ts$';
/** Wired in at the top alone: what is logged and counted elsewhere is told by src/common. */
const OBSERVABILITY = '^src/observability/';
const SPEC = '\\.spec\\.ts$';

const folders = (names) => `^src/(${names.join('|')})/`;

const directions = Object.entries(mayImport).map(([folder, allowed]) => ({
  name: `${folder}-imports`,
  comment: `src/${folder} may import ${allowed.length > 0 ? allowed.join(', ') : 'nothing of src'}.`,
  severity: 'error',
  from: { path: folders([folder]), ...(folder === 'database' && { pathNot: ENTITY_LIST }) },
  to: {
    path: '^src/',
    pathNot: [folders([folder, ...allowed]), ...(registersRooms.includes(folder) ? [ROOM_AUTHORISER] : [])],
  },
}));

module.exports = {
  forbidden: [
    ...directions,
    {
      name: 'entity-list-imports',
      comment: 'src/database/entities.ts names every *.entity.ts and knows nothing else of a feature.',
      severity: 'error',
      from: { path: ENTITY_LIST },
      to: { path: '^src/', pathNot: [folders(ground), '\\.entity\\.ts$'] },
    },
    {
      name: 'feature-imports',
      comment: `A feature may import ${featureMayImport.join(', ')} and rooms' authoriser decorator; never another feature.`,
      severity: 'error',
      from: { path: '^src/([^/]+)/', pathNot: [folders(Object.keys(mayImport)), OBSERVABILITY] },
      to: { path: '^src/', pathNot: ['^src/$1/', folders(featureMayImport), ROOM_AUTHORISER, OBSERVABILITY] },
    },
    {
      name: 'observability-is-wired-in-once',
      comment: 'Nobody imports observability but the map, and what builds and serves the application.',
      severity: 'error',
      from: { path: '^src/', pathNot: [OBSERVABILITY, '^src/(app\\.module|application|serve)\\.ts$'] },
      to: { path: OBSERVABILITY },
    },
    {
      name: 'no-circular',
      comment: 'Cycles break decorated ES modules at start-up. Move what both need to a third file.',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'Nothing imports this file and it imports nothing: is it still needed?',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '\\.d\\.ts$' },
      to: {},
    },
    {
      name: 'not-to-unresolvable',
      comment: 'The import leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-tests-in-product',
      comment: 'What ships knows nothing of its tests.',
      severity: 'error',
      from: { path: '^src/', pathNot: SPEC },
      to: { path: ['^test/', SPEC] },
    },
    {
      name: 'no-dev-dependencies-in-product',
      comment: 'The container installs no development dependencies: move the package to "dependencies".',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: SPEC },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-undeclared-packages',
      comment: 'Name the package in package.json: another package brings it today and may not tomorrow.',
      severity: 'error',
      from: { path: '^(src|migrations|examples)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'examples-stand-alone',
      comment: 'An example is copied into projects that have nothing of this one.',
      severity: 'error',
      from: { path: '^examples/([^/]+)/' },
      to: { path: '^(src|test|migrations)/' },
    },
    {
      name: 'migrations-stand-alone',
      comment: 'A migration is history: it must not change because the code does.',
      severity: 'error',
      from: { path: '^migrations/' },
      to: { path: '^src/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Type imports count: they tie folders together just as firmly.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
