// The load of the REST operations: keep-alive sockets, one request under way on each, prepared bytes out, answers
// counted by Content-Length. A process of its own, told over IPC what to do, so that it can be pinned and measured.
import net from 'node:net';
import { createRequests } from './requests.mjs';

const requests = createRequests(process.env.TOKEN_SECRET);
const END_OF_HEAD = Buffer.from('\r\n\r\n');
/** Read into by all sockets in turn: what is in it is used up before the next read. */
const shared = Buffer.allocUnsafeSlow(262_144);

class Connection {
  #socket;
  #run;
  #ticket = 0;
  #sentAt = 0;
  /** Bytes of the body still to come; 0 between answers. */
  #missing = 0;
  #status = 0;
  #etag = '';
  #carried;

  constructor(run, port) {
    this.#run = run;
    this.#socket = net.connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: shared, callback: (length) => this.#receive(length) },
    });
    this.#socket.on('connect', () => this.#send());
    this.#socket.on('error', () => this.#lost());
    this.#socket.on('close', () => this.#lost());
  }

  #lost() {
    if (!this.#run.over) this.#run.failures++;
    this.#run.leave(this);
  }

  close() {
    this.#socket.destroy();
  }

  #send() {
    if (this.#run.over) return this.#run.leave(this);
    const { bytes, ticket } = this.#run.operation.next();
    this.#ticket = ticket;
    this.#sentAt = performance.now();
    this.#socket.write(bytes);
  }

  #receive(length) {
    let chunk = shared.subarray(0, length);
    if (this.#missing > 0) {
      this.#missing -= length;
      if (this.#missing === 0) this.#finish();
      return true;
    }
    if (this.#carried) {
      chunk = Buffer.concat([this.#carried, chunk]);
      this.#carried = undefined;
    }
    const end = chunk.indexOf(END_OF_HEAD);
    if (end < 0) {
      this.#carried = Buffer.from(chunk);
      return true;
    }
    const head = chunk.latin1Slice(0, end + 2);
    this.#status = Number(head.slice(9, 12));
    const bodyLength = Number(field(head, 'Content-Length') ?? 0);
    if (this.#run.operation.done) this.#etag = (field(head, 'ETag') ?? '').replaceAll('"', '');
    if (this.#status !== this.#run.operation.status) this.#run.sample ??= chunk.latin1Slice(0, 2_000);
    this.#missing = bodyLength - (chunk.length - end - 4);
    if (this.#missing === 0) this.#finish();
    return true;
  }

  #finish() {
    const { operation } = this.#run;
    if (this.#status === operation.status) operation.done?.(this.#ticket, this.#etag);
    this.#run.answered(this.#status === operation.status, performance.now() - this.#sentAt);
    this.#send();
  }
}

function field(head, name) {
  const at = head.indexOf(`\r\n${name}: `);
  if (at < 0) return undefined;
  const start = at + name.length + 4;
  return head.slice(start, head.indexOf('\r\n', start));
}

/** Answers `{perSecond, p50, p99, errors, sample, cpu}`; `cpu` is this process's own, in cores. */
function run({ port, operation, connections, warmSeconds, seconds }) {
  return new Promise((resolve) => {
    const latencies = [];
    let counting = false;
    let started, cpu, ended;
    const state = {
      operation: requests[operation],
      over: false,
      failures: 0,
      sample: undefined,
      answered(good, latency) {
        if (!good) state.failures++;
        if (counting && !state.over && good) latencies.push(latency);
      },
      leave(connection) {
        connection.close();
        if (open.delete(connection) && open.size === 0) finish();
      },
    };
    const open = new Set(Array.from({ length: connections }, () => new Connection(state, port)));
    setTimeout(() => {
      counting = true;
      started = performance.now();
      cpu = process.cpuUsage();
      process.send({ event: 'counting' });
    }, warmSeconds * 1_000);
    setTimeout(
      () => {
        state.over = true;
        ended = performance.now();
        cpu = process.cpuUsage(cpu);
        process.send({ event: 'counted' });
      },
      (warmSeconds + seconds) * 1_000,
    );
    function finish() {
      if (!ended)
        return resolve({ perSecond: 0, errors: state.failures || 1, sample: 'all connections were lost' });
      const span = ended - started;
      latencies.sort((a, b) => a - b);
      resolve({
        perSecond: (latencies.length / span) * 1_000,
        p50: latencies[Math.floor(latencies.length * 0.5)] ?? NaN,
        p99: latencies[Math.floor(latencies.length * 0.99)] ?? NaN,
        errors: state.failures,
        sample: state.sample,
        cpu: (cpu.user + cpu.system) / 1_000 / span,
      });
    }
  });
}

process.on('message', async (order) => process.send({ event: 'done', result: await run(order) }));
process.on('disconnect', () => process.exit(0));
process.send({ event: 'ready' });
