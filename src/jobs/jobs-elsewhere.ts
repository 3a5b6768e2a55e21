/** Where this is provided, jobs are asked for and not done: neither taken nor scheduled, nor are their queues made. */
export class JobsElsewhere {}
