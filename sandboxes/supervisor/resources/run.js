// Runs a program the way `node test.js` does, and knows when the last line of its main module has been reached.
//
// Arguments: the program; what its tests assert with ("console", "module" or nothing); how many UTF-16 units stand
// before them (0: not known); the path that the program shall take for node's; the functions of the library that its
// tests use ("JSON.stringify,Math.abs").
//
// The key arrives on descriptor 4 before the program is read and lives in this closure only. After the main module has
// been evaluated to its end the key goes to descriptor 3. What could look into closures or memory (inspector, heap
// snapshots, native bindings) overwrites the key with the reason first. `console.assert` is ours and stays ours: a
// failed assertion overwrites the key too, whatever the program does to the streams.
//
// `js.py` makes a start-up snapshot of this file: node then starts from a heap with these modules loaded.
'use strict';
const fs = require('fs');
const vm = require('vm');
const Module = require('module');
const path = require('path');
const v8 = require('v8');
const { startupSnapshot } = v8;

// Remembers what tests compare with; the answer says whether all of it is as it was.
const builtIns = (further) => {
  const { getOwnPropertyDescriptors, is } = Object;
  const { ownKeys } = Reflect;
  const kinds = [Object, Array, String, Number, Boolean, Set, Map];
  const owners = [JSON, Math, ...kinds, ...kinds.map((kind) => kind.prototype), ...further];
  const before = owners.map((owner) => getOwnPropertyDescriptors(owner));
  return () => {
    for (let i = 0; i < owners.length; i++) {
      const now = getOwnPropertyDescriptors(owners[i]);
      const names = ownKeys(now);
      if (names.length !== ownKeys(before[i]).length) return false;
      for (let j = 0; j < names.length; j++) {
        const old = before[i][names[j]];
        if (!old || !is(old.value, now[names[j]].value) || old.get !== now[names[j]].get) return false;
      }
    }
    return true;
  };
};

// Has functions tell when they are replaced, if only for a moment.
const watch = (used, owners, replaced) => {
  for (const [ownerName, name] of used.split(',').map((one) => one.split('.'))) {
    const owner = owners[ownerName];
    const { value, enumerable } = (owner && Object.getOwnPropertyDescriptor(owner, name)) || {};
    if (typeof value !== 'function') continue;
    let current = value;
    const set = (other) => { replaced(); current = other; };
    Object.defineProperty(owner, name, { get: () => current, set, enumerable, configurable: false });
  }
};

const main = (program, tests, testsBegin, executable, used) => {
  if (program === undefined) return; // Only a look at whether this start works.
  const file = path.resolve(program);
  const key = Buffer.alloc(32);
  fs.readSync(4, key, 0, 32, null);
  fs.closeSync(4);
  const { writeSync, readFileSync } = fs;
  const { defineProperty } = Object;
  const apply = Reflect.apply;
  const { concat, from } = Buffer;

  const REASONS = [
    'a test did not hold, and it hid that',
    'it returns before its tests',
    'no assertion of its tests ran',
    'it reaches into the runtime',
    'its last statement reaches into the tests',
  ];
  let spoiled = false;
  const spoil = (reason) => {
    if (spoiled) return;
    spoiled = true;
    for (let i = 2; i < 32; i++) key[i] = 0; // By no method: the program may have changed what those ask for.
    key[0] = 33; // "!"
    key[1] = reason;
  };

  const assert = console.assert;
  const theConsole = console;
  let asserted = 0;
  let replaced = false; // These two are no proof of cheating, and worth a look.
  let works = false;
  const trusted = function assert_(...values) {
    asserted += 1;
    if (!values[0]) spoil(0);
    return apply(assert, theConsole, values);
  };
  defineProperty(trusted, 'name', { value: 'assert' });
  const replace = () => { replaced = true; };
  defineProperty(theConsole, 'assert', { get: () => trusted, set: replace, enumerable: true, configurable: false });
  defineProperty(globalThis, 'console', { get: () => theConsole, set: replace, configurable: false });

  const guard = (object, names) => {
    for (const name of names) {
      const original = object[name];
      if (typeof original !== 'function') continue;
      defineProperty(object, name, {
        value: function (...values) {
          spoil(3);
          return new.target ? Reflect.construct(original, values) : apply(original, this, values);
        },
        writable: false, configurable: false, enumerable: true,
      });
    }
  };
  const load = Module._load;
  // Plain look-ups only: the program may have changed the methods of strings and maps.
  const guarded = { __proto__: null };
  const names = ['v8', 'vm', 'inspector', 'inspector/promises', 'repl'];
  for (const name of names) guarded[name] = guarded['node:' + name] = true;
  const getBuiltinModule = process.getBuiltinModule;
  const { hasOwn } = Object;
  const watched = (request, loaded) => {
    if (typeof request !== 'string' || guarded[request]) spoil(3);
    // By another name, which the program has the loader resolve.
    if (loaded === vm || loaded === v8 || (loaded && (hasOwn(loaded, 'waitForDebugger') || hasOwn(loaded, 'REPLServer')))) {
      spoil(3);
    }
    if (loaded && hasOwn(loaded, 'isMainThread')) works = true; // Worker threads have an inspector.
    return loaded;
  };
  const loadWatched = (request, parent, isMain) => watched(request, apply(load, Module, [request, parent, isMain]));
  defineProperty(Module, '_load', { value: loadWatched, writable: true, configurable: true, enumerable: true });
  if (getBuiltinModule) {
    process.getBuiltinModule = (name) => watched(name, apply(getBuiltinModule, process, [name]));
  }
  guard(process, ['binding', '_linkedBinding', 'dlopen', '_debugProcess', '_debugEnd', '_tickCallback']);

  const text = readFileSync(file, 'utf8');
  // All as `node test.js` has it.
  process.argv.splice(0, process.argv.length, executable, file);
  process.execPath = executable;
  process.execArgv = [];
  try {
    new vm.Script(text, { filename: file });
  } catch {
    // What only a function's body may hold, as which node compiles a module: a return at top level, and what would hide
    // one from this look. All else is an error here as well; a module of the other kind (`import`) is one.
    vm.compileFunction(text, ['exports', 'require', 'module', '__filename', '__dirname'], { filename: file });
    spoil(1);
  }
  if (testsBegin > 0) {
    try {
      vm.compileFunction(text.slice(0, testsBegin), ['exports', 'require', 'module', '__filename', '__dirname']);
    } catch {
      spoil(4); // A comment that is not closed, say, would swallow the tests.
    }
  }
  const assertions = tests.includes('module') ? apply(load, Module, ['node:assert']) : undefined;
  let touched = false;
  watch(used, { JSON, Math, Object, Array, String, Number, assert: assertions }, () => { touched = true; });
  const unchanged = builtIns(assertions ? [assertions, assertions.strict] : []);
  const expects = tests.includes('console');
  load(file, null, true);
  if (expects && asserted === 0) spoil(2);
  const note = (replaced ? 'console.assert,' : '') + (works ? 'worker_threads,' : '') + (unchanged() && !touched ? '' : 'built-in,');
  writeSync(3, apply(concat, Buffer, [[key, apply(from, Buffer, [note])]]));
};

if (startupSnapshot.isBuildingSnapshot()) {
  startupSnapshot.setDeserializeMainFunction(() => {
    const [, program, tests, testsBegin, executable, used] = process.argv;
    main(program, tests, +testsBegin, executable, used);
  });
} else {
  const [, , program, tests, testsBegin, executable, used] = process.argv;
  main(program, tests, +testsBegin, executable, used);
}
