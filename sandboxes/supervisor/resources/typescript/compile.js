// Checks the types of a program and makes JavaScript of it: `test.ts` becomes `test.js` in the current folder.
//
// `typescript.py` puts the compiler (`ts`) and the folder of its library (`LIBRARY`) before this text, and makes a
// start-up snapshot of it all: node then starts from a heap that has read and checked the library.
//
// What stands before the tests (as many UTF-16 units as the argument says) goes to stdout as JavaScript of its own, for
// whoever looks for tricks in it. With type errors nothing is written, they go to stderr, and the exit status is 1.
'use strict';
const fs = require('fs');
const path = require('path');
const { startupSnapshot } = require('v8');

// Plain `tsc --target esnext`, and thus not strict; but every program is a module, so that it may use names of its own
// that the library has, too, and the libraries are those of node instead of a browser's.
const OPTIONS = {
  target: ts.ScriptTarget.ESNext,
  lib: ['lib.esnext.d.ts'],
  types: [],
  module: ts.ModuleKind.CommonJS,
  moduleDetection: ts.ModuleDetectionKind.Force,
  esModuleInterop: true,
  newLine: ts.NewLineKind.LineFeed,
};
const PROGRAM = 'test.ts';
const NODE = 'node.d.ts';
const MOST_ERRORS = 100;
const MOST_CHARACTERS = 20000;

const sources = new Map([[NODE, ts.createSourceFile(NODE, GLOBALS, OPTIONS.target)]]);

const library = (name) => {
  if (!sources.has(name)) {
    const text = fs.readFileSync(path.join(LIBRARY, path.basename(name)), 'utf8');
    sources.set(name, ts.createSourceFile(name, text, OPTIONS.target));
  }
  return sources.get(name);
};

let checked; // a program before this one, whose library need not be put together again

const compile = (text) => {
  let script = '';
  const file = ts.createSourceFile(PROGRAM, text, {
    languageVersion: OPTIONS.target,
    setExternalModuleIndicator: ts.getSetExternalModuleIndicator(OPTIONS),
  });
  // The program may name any file in a reference or an import: there are none but the library's.
  const host = {
    getSourceFile: (name) => (name === PROGRAM ? file : name.startsWith('lib/') ? library(name) : sources.get(name)),
    writeFile: (name, data) => { script = data; },
    getDefaultLibFileName: (options) => `lib/${ts.getDefaultLibFileName(options)}`,
    getDefaultLibLocation: () => 'lib',
    useCaseSensitiveFileNames: () => true,
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => '',
    getNewLine: () => '\n',
    fileExists: (name) => name === PROGRAM || name === NODE,
    readFile: () => undefined,
    directoryExists: () => false,
    getDirectories: () => [],
  };
  const program = ts.createProgram({ rootNames: [PROGRAM, NODE], options: OPTIONS, host, oldProgram: checked });
  const errors = [
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file),
  ];
  if (errors.length === 0) program.emit(file);
  return { program, script, errors: ts.formatDiagnostics(errors.slice(0, MOST_ERRORS), host).slice(0, MOST_CHARACTERS) };
};

const main = (testsBegin) => {
  if (testsBegin === undefined) return; // Only a look at whether this start works.
  const text = fs.readFileSync(PROGRAM, 'utf8');
  const { script, errors } = compile(text);
  if (errors) {
    fs.writeSync(2, errors);
    process.exitCode = 1;
    return;
  }
  fs.writeFileSync('test.js', script);
  const candidate = text.slice(0, Number(testsBegin));
  const { outputText, diagnostics } = ts.transpileModule(candidate, { compilerOptions: OPTIONS, reportDiagnostics: true });
  if (diagnostics.length > 0) {
    fs.writeSync(2, 'the last statement before the tests reaches into them');
    process.exitCode = 1;
    return;
  }
  fs.writeSync(1, outputText);
};

if (startupSnapshot.isBuildingSnapshot()) {
  // What most programs need of the library is looked at once here.
  const trial = 'const f = (xs: number[]): string => xs.map((x) => `${x}`).join();\nconsole.assert(f([1]) === "1");\n';
  const { program, errors } = compile(trial);
  if (errors) throw new Error(errors);
  checked = program;
  startupSnapshot.setDeserializeMainFunction(() => main(process.argv[1]));
} else {
  main(process.argv[2]);
}
