import type { components } from './schema';

export type Problem = components['schemas']['Problem'];
export type Violation = NonNullable<Problem['violations']>[number];

/** An answer of the API that is not a success, as RFC 9457 has it. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly status: number;
  readonly detail: string;
  readonly requestId: string;
  readonly violations: readonly Violation[];

  constructor(problem: Problem) {
    super(problem.title);
    this.status = problem.status;
    this.detail = problem.detail ?? '';
    this.requestId = problem.request_id;
    this.violations = problem.violations ?? [];
  }
}

/** Reads whatever came instead of a success; a proxy in between may answer with something that is no problem document. */
export function problemOf(body: unknown, response: Response): ApiProblem {
  const known = isProblem(body) ? body : undefined;
  return new ApiProblem({
    type: known?.type ?? 'about:blank',
    title: known?.title ?? `The control plane answered ${response.status}`,
    status: response.status,
    detail: known?.detail ?? '',
    request_id: known?.request_id ?? response.headers.get('x-request-id') ?? '',
    violations: known?.violations ?? [],
  });
}

/** Says whether an error is the API's answer with that status. */
export function hasStatus(error: unknown, status: number): error is ApiProblem {
  return error instanceof ApiProblem && error.status === status;
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'title' in body && typeof body.title === 'string';
}
