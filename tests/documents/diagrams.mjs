// Parses every Mermaid block of the given Markdown files, and fails on one that GitHub could not draw.
import { readFileSync } from "node:fs";
import { Window } from "happy-dom";

const window = new Window();
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import("mermaid");

const BLOCK = /^```mermaid\n([\s\S]*?)^```$/gm;
let failed = false;
for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, "utf8");
  for (const block of text.matchAll(BLOCK)) {
    const line = text.slice(0, block.index).split("\n").length;
    try {
      await mermaid.parse(block[1]);
    } catch (error) {
      failed = true;
      console.error(`${file}:${line}: the Mermaid block does not parse: ${error.message}`);
    }
  }
}
process.exit(failed ? 1 : 0);
