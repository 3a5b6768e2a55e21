import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const tests = ['test/**/*.ts', 'src/**/*.spec.ts'];
const specs = ['test/**/*.spec.ts', 'test/**/*.e2e-spec.ts', 'src/**/*.spec.ts'];

/** Values go into SQL as parameters; what varies in the text itself is built apart from the call, in the open. */
const parametrisedSql = [
  {
    selector:
      'CallExpression[callee.property.name="query"] > TemplateLiteral.arguments:first-child[expressions.length>0]',
    message: 'Pass values to query() as parameters ($1, $2 …), never inside its text.',
  },
  {
    selector:
      'CallExpression[callee.property.name="query"] > BinaryExpression.arguments:first-child[operator="+"]',
    message: 'Pass values to query() as parameters ($1, $2 …), never inside its text.',
  },
];

const wholeSuite = [
  {
    selector:
      'MemberExpression[object.name=/^(it|test|describe)$/][property.name=/^(only|skip|todo|failing)$/]',
    message: 'The suite runs whole: no only, skip, todo or failing.',
  },
  {
    selector: 'CallExpression[callee.name=/^(fit|fdescribe|xit|xtest|xdescribe)$/]',
    message: 'The suite runs whole: no focused and no disabled tests.',
  },
];

const noSleep = [
  {
    selector:
      'NewExpression[callee.name="Promise"] CallExpression:matches([callee.name="setTimeout"], [callee.property.name="setTimeout"])',
    message: 'A test never sleeps: move the clock, or wait for the thing itself (test/support).',
  },
];

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', '.data/', '**/*.d.ts']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  { rules: { eqeqeq: 'error' } },

  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Leaves files with decorators alone: what is injected or validated there must stay a value import,
      // because its class is read at run time (emitDecoratorMetadata).
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // A Nest module is a class whose decorator says everything.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      // Deprecated only to stand out, its author says. Used for providers on loopback, outside production.
      '@typescript-eslint/no-deprecated': [
        'error',
        { allow: [{ from: 'package', package: 'openid-client', name: 'allowInsecureRequests' }] },
      ],
      // Responses are classes for OpenAPI's sake only; pure functions build them as literals.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // It takes rows[0] for always there while the compiler does (noUncheckedIndexedAccess is off).
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-syntax': ['error', ...parametrisedSql],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'Inject AtriumConfig: variables are read and checked once.',
        },
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'class-validator',
              importNames: ['ArrayUnique'],
              message:
                'It takes the square of the length, of a list that is too long, too: AreDistinct of common.',
            },
          ],
        },
      ],
    },
  },
  {
    // Names of tables cannot be parameters, and nothing but the migration itself has a say in them.
    files: ['migrations/**/*.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    // The processes' ends: they read the environment and talk to a terminal.
    files: ['src/main.ts', 'src/**/cli.ts'],
    rules: { 'no-console': 'off', 'no-restricted-properties': 'off' },
  },
  {
    files: tests,
    rules: {
      'no-restricted-properties': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
      'no-restricted-syntax': ['error', ...parametrisedSql, ...wholeSuite],
    },
  },
  {
    files: specs,
    rules: {
      'no-restricted-syntax': ['error', ...parametrisedSql, ...wholeSuite, ...noSleep],
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'node:timers/promises',
              importNames: ['setTimeout'],
              message: 'A test never sleeps: move the clock, or wait for the thing itself (test/support).',
            },
          ],
        },
      ],
    },
  },

  {
    // Scripts run as they are written, on Node's globals, without types.
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          ...[
            'AbortController',
            'AbortSignal',
            'Buffer',
            'TextDecoder',
            'TextEncoder',
            'URL',
            'URLSearchParams',
          ],
          ...['clearInterval', 'clearTimeout', 'setImmediate', 'setInterval', 'setTimeout', 'queueMicrotask'],
          ...['console', 'fetch', 'performance', 'process', 'structuredClone', 'WebSocket', 'crypto'],
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { module: 'writable', require: 'readonly', __dirname: 'readonly' },
    },
  },
  prettier,
);
