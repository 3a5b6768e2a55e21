import { NotFound } from '../common/problem.js';

/** 404 `not_found`: no machine waits under this code, or none any more. */
export class DeviceNotFound extends NotFound {
  constructor() {
    super(
      'No device waits under this code: it is mistyped, was answered already, or is older than ten minutes.',
    );
  }
}
