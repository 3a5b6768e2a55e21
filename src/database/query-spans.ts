import type { AfterQueryEvent, EntitySubscriberInterface } from 'typeorm';
import { traces } from '../common/traces.js';

/** Has each statement of TypeORM recorded; told by it once that has been answered, as part of the asker's work. */
export class QuerySpans implements EntitySubscriberInterface {
  /** Called by TypeORM. */
  afterQuery({ query, executionTime = 0, success, error }: AfterQueryEvent): void {
    traces?.past({ kind: 'statement', text: query }, executionTime, success ? undefined : error);
  }
}
