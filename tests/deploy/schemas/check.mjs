// SPDX-License-Identifier: Apache-2.0
//
// Checks Kubernetes objects, a JSON array on standard input, against the schemas of Kubernetes; prints a JSON array
// with the mistakes of each. Twice, since neither sees all: the generated validators know formats, required fields and
// words, the compiler of TypeScript refuses fields that do not exist, as a server with strict validation does.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = dirname(fileURLToPath(import.meta.url));
const objects = JSON.parse(readFileSync(0, "utf8"));
const mistakes = objects.map(() => []);
const path = o => `kubernetes-models/${o.apiVersion}/${o.kind}`;
const sources = new Map();

for (const [i, o] of objects.entries()) {
    let model;
    try {
        model = (await import(path(o)))[o.kind];
    } catch {
        mistakes[i].push(`there is no ${o.apiVersion} ${o.kind}`);
        continue;
    }
    try {
        new model(o).validate();
    } catch (e) {
        mistakes[i].push(e.message);
    }
    sources.set(join(here, `object${i}.ts`),
        `import type { I${o.kind} } from "${path(o)}";\nexport const o: I${o.kind} = ${JSON.stringify(o, null, 1)};\n`);
}

const options = { strict: true, noEmit: true, skipLibCheck: true, module: ts.ModuleKind.NodeNext, types: [],
                  moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2022 };
const host = ts.createCompilerHost(options);
const { getSourceFile, fileExists, readFile } = host;
host.fileExists = f => sources.has(f) || fileExists(f);
host.readFile = f => sources.get(f) ?? readFile(f);
host.getSourceFile = (f, ...rest) => sources.has(f)
    ? ts.createSourceFile(f, sources.get(f), ts.ScriptTarget.ES2022) : getSourceFile(f, ...rest);
const program = ts.createProgram([...sources.keys()], options, host);
for (const d of ts.getPreEmitDiagnostics(program)) {
    const found = /object(\d+)\.ts$/.exec(d.file?.fileName ?? "");
    if (!found)
        throw new Error(ts.flattenDiagnosticMessageText(d.messageText, "\n"));
    const { line } = d.file.getLineAndCharacterOfPosition(d.start);
    mistakes[found[1]].push(`${d.file.text.split("\n")[line].trim()} ${ts.flattenDiagnosticMessageText(d.messageText, " ")}`);
}
console.log(JSON.stringify(mistakes));
