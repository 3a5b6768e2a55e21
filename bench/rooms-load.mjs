// The load of the rooms: raw sockets that speak just enough WebSocket to join and to count frames by their lengths.
// Text frames that start with {"event":"event" are deliveries; they arrive in order, so the k-th of a subscriber is the
// k-th that was published, and its latency needs no parsing.
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { sessionId, TEAM, userId, USERS } from './data.mjs';
import { sign } from './tokens.mjs';

const ROOM = `workspaces/${TEAM}`;
const CONNECTING_AT_ONCE = 50;
const PATIENCE_MS = 5_000;
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const shared = Buffer.allocUnsafeSlow(1_048_576);
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** A client's frame. The mask is zero, which is a mask like any other. */
function frame(payload, opcode = TEXT) {
  const body = Buffer.from(payload);
  const long = body.length > 125;
  const head = Buffer.alloc(long ? 8 : 6);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (long ? 126 : body.length);
  if (long) head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}

const PUBLISH = frame(
  JSON.stringify({
    event: 'publish',
    data: { room: ROOM, type: 'message.posted', data: { n: 1, text: 'x'.repeat(200) }, durable: false },
    id: 1,
  }),
);
const JOIN = frame(JSON.stringify({ event: 'join', data: { room: ROOM }, id: 1 }));

class Peer {
  deliveries = 0;
  replies = 0;
  #socket;
  #carried;
  #upgraded = false;
  /** Bytes to pass over: the rest of a frame whose start has been looked at. */
  #skip = 0;
  #opened;
  #group;

  constructor(port, token, group) {
    this.#group = group;
    this.opened = new Promise((resolve, reject) => (this.#opened = { resolve, reject }));
    const buffered = { buffer: shared, callback: (length) => this.#receive(shared.subarray(0, length)) };
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true, onread: buffered });
    this.#socket.write(
      `GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    this.#socket.on('error', (error) => this.#lost(error.message));
    this.#socket.on('close', () => this.#lost('closed'));
  }

  write(bytes, times = 1) {
    this.#socket.cork();
    for (let n = 0; n < times; n++) this.#socket.write(bytes);
    this.#socket.uncork();
  }

  close() {
    this.#group.closing = true;
    this.#socket.destroy();
  }

  #lost(reason) {
    if (this.#group.closing) return;
    this.#group.fail(reason);
    this.#opened.reject(new Error(reason));
  }

  #receive(fresh) {
    let bytes = this.#carried ? Buffer.concat([this.#carried, fresh]) : fresh;
    this.#carried = undefined;
    if (!this.#upgraded) {
      const end = bytes.indexOf(END_OF_HEAD);
      if (end < 0) return this.#carry(bytes);
      const head = bytes.latin1Slice(0, end);
      if (!head.startsWith('HTTP/1.1 101')) {
        this.#lost(head.split('\r\n')[0]);
        return true;
      }
      this.#upgraded = true;
      this.#opened.resolve();
      bytes = bytes.subarray(end + 4);
    }
    const before = this.deliveries;
    this.#frames(bytes);
    if (this.deliveries > before) this.#group.delivered(before, this.deliveries);
    return true;
  }

  #frames(bytes) {
    let at = Math.min(this.#skip, bytes.length);
    this.#skip -= at;
    while (at < bytes.length) {
      const left = bytes.length - at;
      const short = left > 1 ? bytes[at + 1] & 0x7f : 0;
      const headLength = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (left < headLength) return this.#carry(bytes.subarray(at));
      const length =
        short === 126
          ? (bytes[at + 2] << 8) | bytes[at + 3]
          : short === 127
            ? bytes.readUInt32BE(at + 6)
            : short;
      const opcode = bytes[at] & 0x0f;
      // Of a delivery its first bytes are enough; what else there is, is short, and wanted whole.
      const wanted = headLength + (opcode === TEXT ? Math.min(length, 12) : length);
      if (left < wanted) return this.#carry(bytes.subarray(at));
      const start = at + headLength;
      if (opcode === TEXT && bytes[start + 10] === 0x65 && bytes[start + 11] === 0x76) {
        this.deliveries++;
        this.#group.bytes += headLength + length;
      } else if (left < headLength + length) {
        return this.#carry(bytes.subarray(at));
      } else {
        this.#other(opcode, bytes.subarray(start, start + length));
      }
      at += headLength + length;
    }
    this.#skip = at - bytes.length;
    return true;
  }

  #other(opcode, payload) {
    if (opcode === PING) this.write(frame(payload, PONG));
    else if (opcode === CLOSE)
      this.#lost(`closed with ${payload.length > 1 ? payload.readUInt16BE(0) : 'no code'}`);
    else if (opcode === TEXT) {
      const text = payload.latin1Slice();
      if (text.startsWith('{"event":"error"')) this.#lost(text);
      else if (text.startsWith('{"event":"joined"') || text.startsWith('{"event":"published"')) {
        this.replies++;
        this.#group.replied?.();
      }
    }
  }

  #carry(bytes) {
    this.#carried = Buffer.from(bytes);
    return true;
  }
}

/** A room full of subscribers, one of whom publishes to it. */
class Room {
  closing = false;
  failure = undefined;
  bytes = 0;
  subscribers = [];
  total = 0;
  #phase;

  async open(port, size) {
    const secret = process.env.TOKEN_SECRET;
    const token = (n) => sign(secret, userId(n % USERS), sessionId(n % USERS));
    for (let n = 0; n < size; n += CONNECTING_AT_ONCE) {
      const count = Math.min(CONNECTING_AT_ONCE, size - n);
      const group = Array.from({ length: count }, (_, k) => new Peer(port, token(n + k), this));
      this.subscribers.push(...group);
      await Promise.all(group.map((peer) => peer.opened));
      for (const peer of group) peer.write(JOIN);
    }
    await this.#until(() => this.subscribers.every((peer) => peer.replies === 1), 'joined');
    [this.publisher] = this.subscribers;
  }

  close() {
    for (const peer of this.subscribers) peer.close();
  }

  fail(reason) {
    this.failure ??= reason;
  }

  delivered(before, after) {
    this.total += after - before;
    this.#phase?.delivered(before, after);
  }

  async #until(holds, what) {
    const limit = performance.now() + PATIENCE_MS;
    while (!holds()) {
      if (this.failure) throw new Error(this.failure);
      if (performance.now() > limit) throw new Error(`not all ${what} after ${PATIENCE_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** `inFlight` broadcasts under way at any time, or `rate` a second. */
  async run({ inFlight, rate, warmSeconds, seconds }) {
    const size = this.subscribers.length;
    for (const peer of this.subscribers) peer.deliveries = 0;
    this.total = 0;
    const sentAt = [];
    /** How many subscribers have the n-th message. It is under way until all have it. */
    const reached = [];
    let completed = 0;
    const latencies = [];
    let counting = false;
    let pausing = false;
    const publish = (times) => {
      const now = performance.now();
      for (let n = 0; n < times; n++) sentAt.push(now);
      this.publisher.write(PUBLISH, times);
    };
    const pump = () => {
      while (reached[completed] === size) completed++;
      const room = inFlight - (sentAt.length - completed);
      if (room > 0 && !pausing) publish(room);
    };
    this.#phase = {
      delivered: (before, after) => {
        if (counting) {
          const now = performance.now();
          // At saturation one in each read is sample enough.
          for (let k = rate ? before : after - 1; k < after; k++) latencies.push(now - sentAt[k]);
        }
        if (!inFlight) return;
        for (let k = before; k < after; k++) reached[k] = (reached[k] ?? 0) + 1;
        pump();
      },
    };
    const ticking = rate ? setInterval(() => publish(1), 1_000 / rate) : undefined;
    if (inFlight) pump();
    await delay(warmSeconds);
    counting = true;
    const started = performance.now();
    const cpuBefore = process.cpuUsage();
    const before = { total: this.total, bytes: this.bytes };
    process.send({ event: 'counting' });
    await delay(seconds);
    counting = false;
    const span = performance.now() - started;
    const cpu = process.cpuUsage(cpuBefore);
    const after = { total: this.total, bytes: this.bytes };
    process.send({ event: 'counted' });
    pausing = true;
    clearInterval(ticking);
    await this.#until(() => this.total === sentAt.length * size, 'delivered');
    this.#phase = undefined;
    latencies.sort((a, b) => a - b);
    return {
      perSecond: ((after.total - before.total) / span) * 1_000,
      p50: latencies[Math.floor(latencies.length * 0.5)] ?? NaN,
      p99: latencies[Math.floor(latencies.length * 0.99)] ?? NaN,
      bytesPerFrame: Math.round((after.bytes - before.bytes) / (after.total - before.total)),
      errors: 0,
      cpu: (cpu.user + cpu.system) / 1_000 / span,
    };
  }
}

const delay = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

/** Connects once, then runs the phases one after another. */
async function run({ port, subscribers, phases }) {
  const room = new Room();
  const results = [];
  try {
    await room.open(port, subscribers);
    for (const phase of phases) results.push(await room.run(phase));
  } catch (error) {
    while (results.length < phases.length)
      results.push({ perSecond: 0, errors: 1, sample: room.failure ?? error.message });
  } finally {
    room.close();
  }
  return results;
}

process.on('message', async (order) => process.send({ event: 'done', result: await run(order) }));
process.on('disconnect', () => process.exit(0));
process.send({ event: 'ready' });
