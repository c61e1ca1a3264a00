// What a program finds in node, as far as the compiler has to know: that it is there. Its own types come in a package
// that not every machine has and that is checked for a second; here they are `any`, and running the program tells.
declare module "*";
declare const require: any, module: any, exports: any, __filename: string, __dirname: string;
declare const console: any, process: any, global: any, performance: any, crypto: any, structuredClone: any;
declare const setTimeout: any, setInterval: any, setImmediate: any, queueMicrotask: any;
declare const clearTimeout: any, clearInterval: any, clearImmediate: any;
declare const Buffer: any, URL: any, URLSearchParams: any, TextEncoder: any, TextDecoder: any;
declare const AbortController: any, Event: any, EventTarget: any;
type Buffer = any;
type URL = any;
declare namespace NodeJS {
  type Timeout = any;
  type Timer = any;
}

// ES2023, which node 20 has and TypeScript 4 does not know.
interface ReadonlyArray<T> {
  findLast<S extends T>(found: (value: T, index: number, array: readonly T[]) => value is S): S | undefined;
  findLast(found: (value: T, index: number, array: readonly T[]) => unknown): T | undefined;
  findLastIndex(found: (value: T, index: number, array: readonly T[]) => unknown): number;
  toReversed(): T[];
  toSorted(compare?: (a: T, b: T) => number): T[];
  toSpliced(start: number, count?: number, ...items: T[]): T[];
  with(index: number, value: T): T[];
}
interface Array<T> {
  findLast<S extends T>(found: (value: T, index: number, array: T[]) => value is S): S | undefined;
  findLast(found: (value: T, index: number, array: T[]) => unknown): T | undefined;
  findLastIndex(found: (value: T, index: number, array: T[]) => unknown): number;
  toReversed(): T[];
  toSorted(compare?: (a: T, b: T) => number): T[];
  toSpliced(start: number, count?: number, ...items: T[]): T[];
  with(index: number, value: T): T[];
}
