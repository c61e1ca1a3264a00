// Runs a program the way `node test.js` does, and knows when the last line of its main module has been reached.
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
const { startupSnapshot } = require('v8');

const main = (program, expects) => {
  if (program === undefined) return; // Only a look at whether this start works.
  const file = path.resolve(program);
  const key = Buffer.alloc(32);
  fs.readSync(4, key, 0, 32, null);
  fs.closeSync(4);
  const { writeSync, readFileSync } = fs;
  const { defineProperty } = Object;
  const apply = Reflect.apply;
  const set = key.set, fill = key.fill;

  const REASONS = [
    'a test did not hold, and it hid that',
    'it returns before its tests',
    'no assertion of its tests ran',
    'it reaches into the runtime',
    'it replaces console.assert',
  ];
  let spoiled = false;
  const spoil = (reason) => {
    if (spoiled) return;
    spoiled = true;
    apply(fill, key, [0]);
    key[0] = 33; // "!"
    key[1] = reason;
  };

  const assert = console.assert;
  const theConsole = console;
  let asserted = 0;
  let replaced = 0;
  const trusted = function assert_(...values) {
    asserted += 1;
    if (!values[0]) spoil(0);
    return apply(assert, theConsole, values);
  };
  defineProperty(trusted, 'name', { value: 'assert' });
  defineProperty(theConsole, 'assert', { get: () => trusted, set: () => { replaced = 1; }, enumerable: true });
  defineProperty(globalThis, 'console', { get: () => theConsole, set: () => { replaced = 1; } });

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
  const guarded = new Map([
    ['v8', ['setFlagsFromString', 'getHeapSnapshot', 'writeHeapSnapshot', 'queryObjects', 'startCpuProfile']],
    ['inspector', ['Session', 'open', 'console']],
    ['inspector/promises', ['Session', 'open']],
  ]);
  const getBuiltinModule = process.getBuiltinModule;
  const watched = (request, loaded) => {
    const name = typeof request === 'string' && request.startsWith('node:') ? request.slice(5) : request;
    if (guarded.has(name)) spoil(3);
    return loaded;
  };
  const loadWatched = (request, parent, isMain) => watched(request, apply(load, Module, [request, parent, isMain]));
  defineProperty(Module, '_load', { value: loadWatched, writable: true, configurable: true, enumerable: true });
  if (getBuiltinModule) {
    process.getBuiltinModule = (name) => watched(name, apply(getBuiltinModule, process, [name]));
  }
  guard(process, ['binding', '_linkedBinding', 'dlopen', '_debugProcess', '_debugEnd']);

  const text = readFileSync(file, 'utf8');
  process.argv.splice(1, process.argv.length - 1, file);
  try {
    new vm.Script(text, { filename: file }); // As a script, not a function body, a return at top level does not parse.
  } catch (error) {
    if (/Illegal return/.test(error.message)) spoil(1);
  }
  load(file, null, true);
  if (expects && asserted === 0) spoil(2);
  const note = replaced ? Buffer.from('console.assert') : Buffer.alloc(0);
  writeSync(3, Buffer.concat([key, note]));
};

if (startupSnapshot.isBuildingSnapshot()) {
  startupSnapshot.setDeserializeMainFunction(() => main(process.argv[1], process.argv[2] === '1'));
} else {
  main(process.argv[2], process.argv[3] === '1');
}
