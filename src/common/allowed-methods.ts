import type { NextFunction, Request, Response } from 'express';

interface Route {
  readonly path: unknown;
  readonly methods: Record<string, boolean>;
}

interface RouterLayer {
  readonly route?: Route;
  match(path: string): boolean;
}

/** The methods that some route takes at the request's path; none when the path is unknown. */
export function allowedMethods(request: Request): string[] {
  const methods = new Set<string>();
  for (const route of routesAt(request))
    for (const method of Object.keys(route.methods)) methods.add(method.toUpperCase());
  if (methods.has('GET')) methods.add('HEAD');
  return [...methods].sort();
}

/** Lets every answer to OPTIONS say what its address takes (RFC 9110, section 9.3.7), whoever gives it. */
export function tellMethods(request: Request, response: Response, next: NextFunction): void {
  if (request.method === 'OPTIONS') {
    const allowed = allowedMethods(request);
    if (allowed.length > 0) response.setHeader('Allow', [...allowed, 'OPTIONS'].sort().join(', '));
  }
  next();
}

/** The pattern of the route that takes the request, or would with another method; `undefined` when the path is unknown. */
export function routeOf(request: Request): string | undefined {
  const method = request.method === 'HEAD' ? 'get' : request.method.toLowerCase();
  const routes = routesAt(request);
  const path = (routes.find(({ methods }) => methods[method]) ?? routes[0])?.path;
  return typeof path === 'string' ? path : undefined;
}

function routesAt(request: Request): Route[] {
  const { stack } = (request.app as unknown as { router: { stack: RouterLayer[] } }).router;
  return stack.flatMap((layer) =>
    layer.route && !layer.route.methods['_all'] && matches(layer, request.path) ? layer.route : [],
  );
}

function matches(layer: RouterLayer, path: string): boolean {
  try {
    return layer.match(path);
  } catch {
    return false; // a path that does not decode matches nothing
  }
}
