import { type ExecutionContext, RequestMethod } from '@nestjs/common';
import { HEADERS_METADATA, METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner, ModulesContainer, Reflector } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ACCESS, type Access } from '../../src/common/access.js';
import { AGENT_ACCESS, type AgentAccess } from '../../src/common/scopes.js';
import { keepsAnswer, mayRunAgain } from '../../src/idempotency/keeps-answer.js';

/** A handler of some controller. */
export interface Route {
  readonly method: string;
  /** As it is declared, `/v1/items/:id`. */
  readonly path: string;
  /** What it declares, itself or by its class; `undefined` when it says nothing. */
  readonly access: Access | undefined;
  /** By what agents may call it; `undefined`: not at all. */
  readonly agents: AgentAccess | undefined;
  readonly handler: string;
  /** Whether its answer is kept with what it does, for a repeat. */
  readonly keepsAnswer: boolean;
  /** Whether one that was cut off is run again. */
  readonly mayRunAgain: boolean;
  /** Whether nobody may keep its answer. */
  readonly noStore: boolean;
}

type Handler = ReturnType<ExecutionContext['getHandler']>;

/** Every route of every controller, as Nest has them. */
export function routesOf(app: NestExpressApplication): Route[] {
  const reflector = app.get(Reflector);
  const scanner = new MetadataScanner();
  const controllers = [...app.get(ModulesContainer).values()].flatMap((module) => [
    ...module.controllers.values(),
  ]);
  return controllers.flatMap(({ metatype }) => {
    if (typeof metatype !== 'function') return [];
    const prototype = metatype.prototype as Record<string, Handler>;
    const prefixes = pathsOf(metatype);
    return scanner.getAllMethodNames(prototype).flatMap((name): Route[] => {
      const handler = prototype[name];
      const method = Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod | undefined;
      if (method === undefined) return [];
      const access = reflector.getAllAndOverride<Access | undefined>(ACCESS, [handler, metatype]);
      const agents = reflector.getAllAndOverride<AgentAccess | undefined>(AGENT_ACCESS, [handler, metatype]);
      return prefixes.flatMap((prefix) =>
        pathsOf(handler).map((path) => ({
          method: RequestMethod[method],
          path: `/${prefix}/${path}`.replaceAll(/\/+/g, '/').replace(/(.)\/$/, '$1'),
          access,
          agents,
          handler: `${metatype.name}.${name}`,
          keepsAnswer: keepsAnswer(handler),
          mayRunAgain: mayRunAgain(handler),
          noStore: headersOf(handler).some(({ value }) => value === 'no-store'),
        })),
      );
    });
  });
}

function pathsOf(target: object): string[] {
  const paths = Reflect.getMetadata(PATH_METADATA, target) as string | string[] | undefined;
  return Array.isArray(paths) ? paths : [paths ?? ''];
}

const headersOf = (handler: object): { value: string }[] =>
  (Reflect.getMetadata(HEADERS_METADATA, handler) as { value: string }[] | undefined) ?? [];

interface RouterLayer {
  readonly route?: { readonly path: string | string[]; readonly methods: Record<string, boolean> };
}

/** `GET /path` of everything that the HTTP server itself answers, whoever registered it. */
export function servedPaths(app: NestExpressApplication): string[] {
  const express = app.getHttpAdapter().getInstance() as unknown as { router: { stack: RouterLayer[] } };
  return express.router.stack.flatMap(({ route }) =>
    route
      ? [route.path]
          .flat()
          .flatMap((path) => Object.keys(route.methods).map((method) => `${method.toUpperCase()} ${path}`))
      : [],
  );
}
