/** Where this is provided as true, jobs are asked for and not done: neither taken nor scheduled, nor are their queues made. */
export const JOBS_ELSEWHERE = Symbol('jobs elsewhere');
