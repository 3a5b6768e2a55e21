const MAX_STEPS = 20;

/** An answer that a browser would show or follow. */
export interface PageAnswer {
  readonly status: number;
  readonly url: URL;
  /** Where it sends the browser. */
  readonly location: URL | undefined;
  readonly headers: Headers;
  readonly text: string;
}

/** A browser as far as redirects, forms and cookies go. Each has cookies of its own, by origin. */
export class TestBrowser {
  private readonly cookies = new Map<string, Map<string, string>>();

  /** @param hosts which server really answers for an origin, as DNS and a proxy would arrange */
  constructor(private readonly hosts: Readonly<Record<string, string>>) {}

  /** The cookies that go to an address, as a `Cookie` header. */
  cookieHeader(address: string): string {
    const jar = this.cookies.get(new URL(address).origin) ?? new Map<string, string>();
    return [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** Keeps cookies that came by a call of the page's script. */
  keep(address: string, headers: Headers): void {
    const { origin } = new URL(address);
    const jar = this.cookies.get(origin) ?? new Map<string, string>();
    this.cookies.set(origin, jar);
    for (const line of headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const name = pair.slice(0, pair.indexOf('='));
      const value = pair.slice(name.length + 1);
      if (value === '' || /;\s*(max-age=0|expires=Thu, 01 Jan 1970)/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
  }

  /** One request, without following where it sends the browser. */
  async open(address: string, form?: Readonly<Record<string, string>>): Promise<PageAnswer> {
    const url = new URL(address);
    const real = new URL(url.pathname + url.search, this.hosts[url.origin] ?? url.origin);
    const headers: Record<string, string> = {};
    const cookie = this.cookieHeader(address);
    if (cookie !== '') headers.Cookie = cookie;
    const response = await fetch(real, {
      method: form ? 'POST' : 'GET',
      headers,
      body: form && new URLSearchParams(form),
      redirect: 'manual',
    });
    this.keep(address, response.headers);
    const location = response.headers.get('location');
    return {
      status: response.status,
      url,
      location: location === null ? undefined : new URL(location, url),
      headers: response.headers,
      text: await response.text(),
    };
  }

  /**
   * Follows redirects and fills in the provider's forms until the browser is sent to an address that begins with
   * `destination`, which it does not open.
   */
  async walk(address: string, login: string, destination: string): Promise<URL> {
    let page = await this.open(address);
    for (let step = 0; step < MAX_STEPS; step++) {
      if (page.location?.href.startsWith(destination)) return page.location;
      if (page.location) page = await this.open(page.location.href);
      else page = await this.fillIn(page, login);
    }
    throw new Error(`Still at ${page.url.href} after ${MAX_STEPS} steps`);
  }

  private fillIn(page: PageAnswer, login: string): Promise<PageAnswer> {
    const action = /<form[^>]* action="([^"]+)"/.exec(page.text)?.[1];
    const prompt = /name="prompt" value="(\w+)"/.exec(page.text)?.[1];
    if (page.status !== 200 || action === undefined || prompt === undefined)
      throw new Error(`${page.url.href} answered ${page.status}: ${page.text}`);
    return this.open(new URL(action, page.url).href, { prompt, login, password: 'any' });
  }
}
