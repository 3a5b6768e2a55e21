/** What an outbox writes to: a socket, and what it has been given in this turn of the event loop. */
export interface OutboxTarget {
  pending: FrameChain | undefined;
  /** Writes at once. */
  flush(bytes: Buffer): void;
}

/**
 * A sequence of frames, as a node of a tree: sockets that are given the same frames in the same order arrive at
 * the same node, and share its joined bytes however many they are.
 */
export class FrameChain {
  private lastFrame: Buffer | undefined;
  private lastChain: FrameChain | undefined;
  private joined: Buffer | undefined;

  private constructor(
    private readonly before: FrameChain | undefined,
    private readonly frame: Buffer,
  ) {}

  static readonly empty = (): FrameChain => new FrameChain(undefined, Buffer.alloc(0));

  /** The chain that goes on with `frame`. A broadcast asks for the same one again and again. */
  followedBy(frame: Buffer): FrameChain {
    if (this.lastFrame === frame && this.lastChain) return this.lastChain;
    this.lastFrame = frame;
    return (this.lastChain = new FrameChain(this, frame));
  }

  get bytes(): Buffer {
    return (this.joined ??= this.join());
  }

  private join(): Buffer {
    const frames = [this.frame];
    for (let chain = this.before; chain?.before; chain = chain.before) frames.push(chain.frame);
    return frames.length === 1 ? this.frame : Buffer.concat(frames.reverse());
  }
}

/**
 * Collects what one turn of the event loop brings for each socket and hands it over in one write at the end
 * of that turn, so that a burst costs one system call per socket, and a lone frame waits for nothing.
 */
export class Outbox {
  private start = FrameChain.empty();
  private targets: OutboxTarget[] = [];

  push(target: OutboxTarget, frame: Buffer): void {
    if (target.pending === undefined) {
      if (this.targets.length === 0) setImmediate(() => this.flushAll());
      this.targets.push(target);
      target.pending = this.start.followedBy(frame);
    } else {
      target.pending = target.pending.followedBy(frame);
    }
  }

  /** Writes what is pending for one target now, before it is closed. */
  flush(target: OutboxTarget): void {
    const { pending } = target;
    target.pending = undefined;
    if (pending) target.flush(pending.bytes);
  }

  private flushAll(): void {
    const { targets } = this;
    this.targets = [];
    this.start = FrameChain.empty();
    for (const target of targets) this.flush(target);
  }
}
