import { NotFound, Problem } from '../common/problem.js';

/** 404 `not_found`: no such import, or none that the caller may see. */
export class ImportNotFound extends NotFound {
  constructor() {
    super('There is no such import, or it is not yours to see.');
  }
}

/** 409 `upload_offset_mismatch`: the part does not begin where the upload is. */
export class UploadOffsetMismatch extends Problem {
  constructor(offset: number) {
    super(409, 'upload_offset_mismatch', `The upload is at ${offset} bytes; go on from there.`, {
      headers: { 'Upload-Offset': String(offset) },
    });
  }
}

/** 409 `upload_complete`: nothing more is taken. */
export class UploadComplete extends Problem {
  constructor() {
    super(409, 'upload_complete', 'The import takes nothing more: it was uploaded whole, or it has ended.');
  }
}

/** 413 `import_too_large`. */
export class ImportTooLarge extends Problem {
  constructor(limitBytes: number) {
    super(413, 'import_too_large', `An import may have at most ${limitBytes} bytes; send several.`);
  }
}

/** 429 `too_many_imports`: others of this caller have not ended. */
export class TooManyImports extends Problem {
  constructor(limit: number) {
    super(429, 'too_many_imports', `You may have ${limit} imports at once; let one end, or cancel one.`, {
      headers: { 'Retry-After': '30' },
    });
  }
}
