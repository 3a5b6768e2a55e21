// Loaded before a process's own code: its clock jumps with every SIGWINCH, an hour ahead, an hour back, and home again.
const JUMPS_MS = [3_600_000, -3_600_000, 0];
const RealDate = Date;
let jumps = 0;
let offset = 0;

const now = () => RealDate.now() + offset;
globalThis.Date = class Date extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(now());
    else super(...parts);
  }
};
Object.defineProperty(globalThis.Date, 'now', { value: now, writable: true, configurable: true });

process.on('SIGWINCH', () => {
  offset = JUMPS_MS[jumps++ % JUMPS_MS.length];
});
