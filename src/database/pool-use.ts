import type { Pool } from 'pg';

/** How busy a pool is. */
export interface PoolUse {
  /** Connections that are open. */
  readonly open: number;
  /** Of those, which nobody uses. */
  readonly idle: number;
  /** Callers that wait for one. */
  readonly waiting: number;
}

export const useOf = ({ totalCount, idleCount, waitingCount }: Pool): PoolUse => ({
  open: totalCount,
  idle: idleCount,
  waiting: waitingCount,
});
