import { Injectable } from '@nestjs/common';
import type { JsonValue } from '../common/json.js';
import { weigh } from '../common/json-weight.js';
import type { WriteCombiner } from '../events/write-combiner.js';

/** From this weight on, a write may take PostgreSQL seconds: most of them go into the index of its words. */
const LARGE = 131_072;
/** Some 2 MB. */
const CAPACITY = 20_000;

/** Which items are large, as far as this process has met them; the newest {@link CAPACITY}. */
@Injectable()
export class LargeItems {
  private readonly ids = new Set<string>();

  /** @param characters of the item's data, as JSON */
  note(itemId: string, characters: number): void {
    if (characters < LARGE) {
      this.ids.delete(itemId);
      return;
    }
    if (this.ids.has(itemId)) return;
    const [oldest] = this.ids;
    if (this.ids.size >= CAPACITY && oldest !== undefined) this.ids.delete(oldest);
    this.ids.add(itemId);
  }

  has(itemId: string): boolean {
    return this.ids.size > 0 && this.ids.has(itemId);
  }
}

/** A write of one item, and what it brings. */
interface ItemWrite {
  readonly id: string;
  readonly data?: unknown;
  readonly replacement?: unknown;
}

/**
 * One kind of writes, in two lanes: writes that are combined wait for those before them, and whoever writes large items is
 * to hold up nobody but those who do so, too.
 */
export class ItemLanes<Input extends ItemWrite, Row extends { n: string }> {
  readonly runAlone: WriteCombiner<Input, Row>['runAlone'];

  constructor(
    private readonly large: LargeItems,
    private readonly forMost: WriteCombiner<Input, Row>,
    private readonly forLarge: WriteCombiner<Input, Row>,
  ) {
    this.runAlone = forMost.runAlone.bind(forMost);
  }

  /** As {@link WriteCombiner.run}. */
  run(input: Input): Promise<Row> {
    return (this.isLarge(input) ? this.forLarge : this.forMost).run(input);
  }

  private isLarge({ id, data, replacement }: Input): boolean {
    return this.large.has(id) || isHeavy(data) || isHeavy(replacement);
  }
}

const isHeavy = (data: unknown): boolean => data !== undefined && weigh(data as JsonValue, LARGE) > LARGE;
