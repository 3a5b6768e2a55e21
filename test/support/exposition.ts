/** A family of series. */
export interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly help: string;
  /** Values by name and labels: `atrium_jobs{queue="x",state="y"}`. */
  readonly samples: Map<string, number>;
}

const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"`;
/** `Nan` is how prom-client writes it of a histogram without samples; Prometheus reads it in any case. */
const SAMPLE = new RegExp(
  String.raw`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{${LABEL}(?:,${LABEL})*\})? (Na[Nn]|[+-]Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$`,
);
const HEADER = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*)\n# TYPE (\S+) (counter|gauge|histogram|summary)$/;

/**
 * Reads Prometheus' text format as strictly as it was ever meant: each family once, with HELP and TYPE before its samples, no
 * series twice, counters that end in `_total` and nothing else that does, histograms that are cumulative and end at `+Inf`.
 * @throws {Error} with the first line that is wrong
 */
export function parseExposition(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  if (!text.endsWith('\n')) throw new Error('the last line is not ended');
  for (const part of text.split(/^(?=# HELP )/m)) {
    const [help = '', type = '', ...lines] = part.trimEnd().split('\n');
    const [, name, about, typeOf, kind] = HEADER.exec(`${help}\n${type}`) ?? [];
    if (name === undefined || name !== typeOf || families.has(name))
      throw new Error(`not a family of its own: ${help}`);
    if ((kind === 'counter') !== name.endsWith('_total'))
      throw new Error(`${name} is called like another type`);
    const family = { type: kind as Family['type'], help: about ?? '', samples: new Map<string, number>() };
    families.set(name, family);
    for (const line of lines) read(line, name, family);
    if (kind === 'histogram') checkBuckets(name, family);
  }
  return families;
}

function read(line: string, family: string, { type, samples }: Family): void {
  const [, name = '', labels = '', value] = SAMPLE.exec(line) ?? [];
  const own = type === 'histogram' || type === 'summary' ? name.replace(/_(bucket|sum|count)$/, '') : name;
  if (own !== family || samples.has(name + labels)) throw new Error(`in ${family}: ${line}`);
  samples.set(name + labels, Number(value?.replace('Inf', 'Infinity')));
}

function checkBuckets(name: string, { samples }: Family): void {
  const last = new Map<string, number>();
  for (const [series, value] of samples) {
    if (!series.startsWith(`${name}_bucket`)) continue;
    const others = series
      .slice(`${name}_bucket`.length)
      .replace(/\{?le="[^"]*",?/, '{')
      .replace(/\{\}$/, '');
    if (value < (last.get(others) ?? 0)) throw new Error(`not cumulative: ${series}`);
    last.set(others, value);
    if (series.includes('le="+Inf"') && samples.get(`${name}_count${others}`) !== value)
      throw new Error(`does not end with its count: ${series}`);
  }
}
