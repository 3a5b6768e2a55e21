export declare const root: string;
export declare const compiledRoot: string;
export declare const codeCache: string;
export declare function compiledPath(source: string): string;
