/** What is said of a {@link Streamed} answer in its headers. */
export interface StreamedMeta {
  readonly contentType: string;
  /** What a browser saves it as. */
  readonly fileName: string;
  /** The position in the workspace's stream that the answer reflects. */
  readonly cursor: string;
}

/**
 * An answer of any length, whose text is made while it is sent and no faster than it is read. When the text fails or
 * the reader goes, the connection is cut, so that a part is never taken for the whole. `T` names the DTO of one record.
 */
export class Streamed<T> {
  declare protected readonly holds: T;

  /**
   * @param release called once, however it ends, even before the first piece was asked for
   * @param signal aborted when it goes no further
   */
  constructor(
    readonly text: AsyncIterable<string>,
    readonly meta: StreamedMeta,
    readonly release: () => Promise<void>,
    readonly signal?: AbortSignal,
  ) {}
}
