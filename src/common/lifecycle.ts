import { Injectable } from '@nestjs/common';

/** Whether the process still takes new work. */
@Injectable()
export class Lifecycle {
  private leaving = false;

  /** From SIGTERM on: not ready, no new sockets, and connections close after their answer. */
  get draining(): boolean {
    return this.leaving;
  }

  drain(): void {
    this.leaving = true;
  }
}
