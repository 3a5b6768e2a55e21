import { Command, InvalidArgumentError } from 'commander';
import type { AgentStatus } from '../agents/agent.entity.js';
import { isId } from '../common/identifiers.js';
import { loadConfig } from '../config/config.js';
import { CliError, EXIT } from './cli-error.js';
import { type Variables, withDatabase, withMigrated, withServices } from './connections.js';
import { Directory, type Page } from './directory.js';
import { Doctor } from './doctor.js';
import { resealFactors } from './factor-resealing.js';
import { type Answer, record, sentence, table } from './output.js';
import { Overview } from './overview.js';
import { RestoredHistory } from './restored-history.js';

const MOST_ROWS = 1_000;

/** What a command finds around it. */
export interface Surroundings {
  readonly variables: Variables;
  /** Is given a command's answer, and whether machines read it. */
  readonly answer: (answer: Answer, json: boolean) => void;
  readonly exit: (code: number) => void;
  /** Help. */
  readonly out: (text: string) => void;
  /** What is wrong with a call. */
  readonly err: (text: string) => void;
}

/** Every command of `npm run atrium`. */
export function buildProgram(around: Surroundings): Command {
  const program = new Command('atrium')
    .description('Administration of Atrium, for whoever may reach its database.')
    .option('--json', 'one JSON document on standard output')
    .showHelpAfterError()
    .configureOutput({ writeOut: around.out, writeErr: around.err })
    .exitOverride();
  const answer = (given: Answer) => around.answer(given, program.opts<{ json?: true }>().json ?? false);
  const groups: ((to: Command) => void)[] = [
    users,
    agents,
    tokens,
    streams,
    queues,
    config,
    doctor,
    factors,
    restored,
  ];
  for (const add of groups) add(program);
  return program;

  function users(to: Command): void {
    const group = to.command('users').description('people and their accounts');
    listed(group.command('list').description('accounts in the order of their ids'))
      .option('--email <part>', 'whose address has this in it')
      .action(async ({ email, ...page }: Page & { email?: string }) => {
        const rows = await read((directory) => directory.users(email, page));
        answer(table(rows, 'There are no such users.'));
      });
    group
      .command('show')
      .argument('<user>', 'id or address')
      .action(async (user: string) => answer(record(await read((directory) => directory.user(user)))));
    group
      .command('disable')
      .description('closes an account; its sessions end within a second')
      .argument('<user>', 'id or address')
      .action((user: string) => setDisabled(user, true));
    group
      .command('enable')
      .description('opens an account again')
      .argument('<user>', 'id or address')
      .action((user: string) => setDisabled(user, false));
  }

  async function setDisabled(user: string, disabled: boolean): Promise<void> {
    const { id } = await read((directory) => directory.user(user));
    const { AccountsService } = await import('../accounts/accounts.service.js');
    await withServices(around.variables, (services) => {
      const accounts = services.get(AccountsService, { strict: false });
      return disabled ? accounts.disable(id) : accounts.enable(id);
    });
    answer(sentence(`${user} is ${disabled ? 'disabled' : 'enabled'}.`, { id, disabled }));
  }

  function agents(to: Command): void {
    const group = to.command('agents').description('machine clients');
    listed(group.command('list').description('agents in the order of their ids'))
      .option('--workspace <id>', 'of one workspace', uuid)
      .action(async ({ workspace, ...page }: Page & { workspace?: string }) => {
        const rows = await read((directory) => directory.agents(workspace, page));
        answer(table(rows, 'There are no such agents.'));
      });
    group
      .command('show')
      .argument('<agent>', 'id')
      .action(async (id: string) => answer(record(await read((directory) => directory.agent(id)))));
    group
      .command('disable')
      .description('ends its access tokens and sockets within a second; it gets no others')
      .argument('<agent>', 'id')
      .action((id: string) => setStatus(id, 'disabled'));
    group
      .command('enable')
      .description('its credentials are as good as before')
      .argument('<agent>', 'id')
      .action((id: string) => setStatus(id, 'enabled'));
  }

  async function setStatus(agent: string, status: AgentStatus): Promise<void> {
    const { id } = await read((directory) => directory.agent(agent));
    const { AgentEdits } = await import('../agents/agent-edits.js');
    await withServices(around.variables, (services) =>
      services.get(AgentEdits).setStatusForOperator(id, status),
    );
    answer(sentence(`${id} is ${status}.`, { id, status }));
  }

  function tokens(to: Command): void {
    const group = to.command('tokens').description('sessions of people, and what agents were given');
    group
      .command('list')
      .description('sessions of a person that are still good, the newest first')
      .argument('<user>', 'id or address')
      .option('--limit <n>', 'at most so many', count, 50)
      .action(async (user: string, { limit }: { limit: number }) => {
        const rows = await read(async (directory) =>
          directory.sessions((await directory.user(user)).id, limit),
        );
        answer(table(rows, 'There are no sessions.'));
      });
    group
      .command('revoke')
      .description('ends sessions or access tokens, with their sockets, within a second')
      .option('--user <user>', 'all of a person, by id or address')
      .option('--session <id>', 'one session')
      .option('--agent <id>', 'the access tokens of an agent; its credentials stay good')
      .action(revoke);
  }

  async function revoke(
    of: { user?: string; session?: string; agent?: string },
    command: Command,
  ): Promise<void> {
    const { user, session, agent } = of;
    if (Object.keys(of).length !== 1) command.error('error: name one of --user, --session and --agent');
    const { SignOutCommands } = await import('./sign-out-commands.js');
    const asOperator = <T>(work: (commands: InstanceType<typeof SignOutCommands>) => Promise<T>) =>
      withServices(around.variables, (services) => work(services.get(SignOutCommands)));
    if (user !== undefined) {
      const { id } = await read((directory) => directory.user(user));
      await asOperator((commands) => commands.endAll(id));
      answer(sentence(`Every session of ${user} has ended.`, { user: id }));
    } else if (session !== undefined) {
      const owner = await read((directory) => directory.ownerOf(session));
      const alive = await asOperator((commands) => commands.endOne(owner, session));
      if (!alive) throw new CliError(`The session ${session} had ended before.`);
      answer(sentence(`The session ${session} has ended.`, { session }));
    } else if (agent !== undefined) {
      const { id, workspaceId } = await read((directory) => directory.agent(agent));
      await asOperator((commands) => commands.endAgent(id, workspaceId));
      answer(sentence(`The access tokens of ${id} have ended.`, { agent: id }));
    }
  }

  function streams(to: Command): void {
    const group = to.command('streams').description('event logs of workspaces');
    listed(group.command('list').description('how far each has come, and from where on it is kept')).action(
      async (page: Page) =>
        answer(table(await look((overview) => overview.streams(page)), 'There are none.')),
    );
    group
      .command('show')
      .argument('<workspace>', 'id')
      .action(async (id: string) => answer(record(await look((overview) => overview.stream(id)))));
  }

  function queues(to: Command): void {
    const group = to.command('queues').description('jobs, and work that agents lease');
    const limited = (command: Command) => command.option('--limit <n>', 'at most so many', count, 50);
    limited(group.command('list').description('how much waits, is being done, and was given up')).action(
      async ({ limit }: { limit: number }) =>
        answer(table(await look((overview) => overview.queues(limit)), 'No work was ever asked for.')),
    );
    limited(group.command('failed').description('jobs that were given up, and why')).action(
      async ({ limit }: { limit: number }) =>
        answer(table(await look((overview) => overview.failedJobs(limit)), 'No job has failed.')),
    );
  }

  function config(to: Command): void {
    to.command('config')
      .description('the configuration that an instance would start with')
      .command('check')
      .description('whether it could, without starting')
      .action(() => {
        const { environment, publicUrl } = loadConfig(around.variables);
        answer(sentence('The configuration is good.', { environment, publicUrl }));
      });
  }

  function doctor(to: Command): void {
    to.command('doctor')
      .description('looks at what an instance needs: database, clock, Redis, mail')
      .action(async () => {
        const settings = loadConfig(around.variables);
        const findings = await withDatabase(around.variables, (database, url) =>
          new Doctor(database, url, settings).examine(),
        );
        answer(
          table(
            findings.map((finding) => ({ ...finding })),
            '',
          ),
        );
        if (findings.some(({ state }) => state === 'failed')) around.exit(EXIT.failed);
      });
  }

  function factors(to: Command): void {
    to.command('factors')
      .description('authenticator apps')
      .command('reseal')
      .description('has all their secrets encrypted by the first FACTOR_SECRET, so that the others can go')
      .action(async () => {
        const { FactorSecrets } = await import('../mfa/factor-secrets.js');
        const secrets = new FactorSecrets(loadConfig(around.variables));
        const told = await withMigrated(around.variables, (database) => resealFactors(database, secrets));
        const { total, resealed, unreadable } = told;
        const lost = unreadable > 0 ? `; ${unreadable} can be read by none: an earlier one is missing` : '';
        answer(sentence(`Of ${total} secrets, ${resealed} were encrypted anew${lost}.`, { ...told }));
        if (unreadable > 0) around.exit(EXIT.failed);
      });
  }

  function restored(to: Command): void {
    to.command('restored')
      .description(
        'to be called once after a restore, before instances start: clients fetch anew and miss nothing',
      )
      .action(async () => {
        await withMigrated(around.variables, (database) => new RestoredHistory(database).begin());
        answer(sentence('Cursors of before the restore are recognised from now on.', { restored: true }));
      });
  }

  function read<T>(work: (directory: Directory) => Promise<T>): Promise<T> {
    return withMigrated(around.variables, (database) => work(new Directory(database)));
  }

  function look<T>(work: (overview: Overview) => Promise<T>): Promise<T> {
    return withMigrated(around.variables, (database) => work(new Overview(database)));
  }
}

/** Options of a list that goes on behind an id. */
const listed = (command: Command): Command =>
  command.option('--limit <n>', 'at most so many', count, 50).option('--after <id>', 'behind this one', uuid);

function count(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > MOST_ROWS)
    throw new InvalidArgumentError(`Give a whole number from 1 to ${MOST_ROWS}.`);
  return number;
}

function uuid(text: string): string {
  if (!isId(text)) throw new InvalidArgumentError('Give a UUID.');
  return text;
}
