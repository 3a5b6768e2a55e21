import { type ArgumentsHost, Catch, type ExceptionFilter, Injectable, Logger } from '@nestjs/common';
import type { WebSocket } from 'ws';
import type { InputError, Problem } from '../common/problem.js';
import { logProblem, toProblem } from '../common/to-problem.js';
import { databaseProblem } from '../database/database-problem.js';
import { Connections } from './connections.js';

/** The data of an `error` frame. */
export interface ErrorData {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly InputError[];
}

export const errorData = ({ code, detail, errors }: Problem): ErrorData => ({ code, detail, errors });

/** Answers a frame that failed with `error {code, detail}`, under the frame's `id`. */
@Injectable()
@Catch()
export class FrameProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Problem');

  constructor(private readonly connections: Connections) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const connection = this.connections.of(host.switchToWs().getClient<WebSocket>());
    const problem = toProblem(error, databaseProblem);
    if (problem.getStatus() >= 500) logProblem(this.logger, error, problem);
    connection?.reply('error', errorData(problem));
  }
}
