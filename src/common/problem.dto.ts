/** One thing wrong in the input. */
export class InputError {
  /** Where: a pointer into the body (RFC 6901), or `/name` of a parameter. */
  readonly pointer: string;
  /** What. */
  readonly detail: string;
}

/** The body of every error answer (RFC 9457), `application/problem+json`. */
export class ProblemBody {
  /** Identifies the kind of problem; one per `code`. */
  type: string;
  /** The HTTP status in words. */
  title: string;
  status: number;
  /** What was wrong, and what to do. */
  detail: string;
  /** Stable name for programs, such as `validation_failed`. */
  code: string;
  /** The answer's `X-Request-Id`; quote it when asking for help. */
  requestId: string;
  /** One entry per wrong field, the first hundred; only where the input is what was wrong. */
  errors?: InputError[];
  /** By which the caller can prove who they are; only with `step_up_required`. */
  methods?: string[];
}
