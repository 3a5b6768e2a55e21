import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { DEFAULT_LIMIT } from '../common/pagination.js';
import { Representation } from '../common/representation.js';
import { formatCursor, parseCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import { EventsGoneError } from '../events/events-gone.js';
import type { StreamEvent } from '../events/stream-event.js';
import { Streams } from '../events/streams.js';
import type { EventList, ReadEventsQuery } from './events.dto.js';
import { isHeardIn, isWorkspaceRoom } from './room.js';
import type { RoomGrant } from './room-authoriser.js';
import { RoomDirectory } from './room-directory.js';
import { CursorAhead, CursorTooOld, EpochChanged, InvalidCursor } from './rooms.errors.js';

/** The past of rooms, page by page. */
@Injectable()
export class RoomHistory {
  constructor(
    private readonly directory: RoomDirectory,
    private readonly streams: Streams,
    private readonly epoch: Epoch,
  ) {}

  /**
   * A page of a room's events, oldest first. Holds nothing from after the position as of which the principal was
   * found to be allowed, so nothing from after the loss of a right; what comes later is another page.
   * @throws {import('./rooms.errors.js').RoomNotFound}
   * @throws {InvalidCursor}
   * @throws {EpochChanged}
   * @throws {CursorAhead}
   * @throws {CursorTooOld}
   */
  async read(principal: Principal, query: ReadEventsQuery): Promise<Representation<EventList>> {
    const { room, limit = DEFAULT_LIMIT } = query;
    const grant = await this.directory.authorise(principal, room);
    const found = await this.from(query.after, room, grant, limit);
    const { asOf } = grant;
    const last = found.at(-1)?.seq ?? asOf;
    // A stream has no gaps; whether a room of it goes on must be asked.
    const isMore =
      last < asOf && (isWorkspaceRoom(room) || (await this.page(room, grant, last, 1)).length > 0);
    const data = found.filter(({ subject }) => isHeardIn(room, subject)).map((event) => this.entry(event));
    const reached = this.cursor(isMore ? last : asOf);
    return new Representation(
      `{"data":[${data.join(',')}],"nextCursor":${isMore ? `"${reached}"` : 'null'}}`,
      { cursor: reached },
    );
  }

  /** The first page asked for: after a cursor, or the oldest that is kept. */
  private async from(
    after: string | undefined,
    room: string,
    grant: RoomGrant,
    limit: number,
  ): Promise<StreamEvent[]> {
    const start = after === undefined ? 0 : await this.start(after, grant);
    try {
      return await this.page(room, grant, start, limit);
    } catch (error) {
      if (!(error instanceof EventsGoneError)) throw error;
      const beginning = error.firstKept - 1;
      if (after !== undefined) throw new CursorTooOld(this.cursor(beginning));
      return this.page(room, grant, beginning, limit);
    }
  }

  private async start(after: string, { asOf, streamId }: RoomGrant): Promise<number> {
    const cursor = parseCursor(after);
    if (!cursor) throw new InvalidCursor();
    if (cursor.epoch !== this.epoch.current) {
      const [{ minSeq }] = await this.streams.heads([streamId]);
      throw new EpochChanged(this.cursor(minSeq - 1));
    }
    if (cursor.seq > asOf) throw new CursorAhead(this.cursor(asOf));
    return cursor.seq;
  }

  private async page(
    room: string,
    { streamId, asOf }: RoomGrant,
    after: number,
    limit: number,
  ): Promise<StreamEvent[]> {
    const events = isWorkspaceRoom(room)
      ? await this.streams.read(streamId, after, limit)
      : await this.streams.readSubject(streamId, room, after, limit);
    return events.filter(({ seq }) => seq <= asOf);
  }

  private entry(event: StreamEvent): string {
    return `{"cursor":"${this.cursor(event.seq)}","event":${event.json}}`;
  }

  private cursor(seq: number): string {
    return formatCursor(this.epoch.current, seq);
  }
}
