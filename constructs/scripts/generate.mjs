// Writes src/properties.ts from the schema of the replication policy, whose rules have the same properties; `--check` only compares.

import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../src/properties.ts", import.meta.url);
const schema = JSON.parse(readFileSync(new URL("../../replication-policy.schema.json", import.meta.url), "utf8"));
const rule = schema.properties.Rules.items;

// A rule of a policy has these in place of a source bucket, and its Region may be a map.
const { Name: _name, Match: _match, ...ofRule } = rule.properties;
const properties = {
  SourceBucket: { type: "string", description: "Name of the bucket whose objects are replicated." },
  ...ofRule,
  DestinationRegion: { ...ofRule.DestinationRegion, type: "string" },
};
const required = ["SourceBucket", ...rule.required];

function type(property) {
  if (property.enum) return property.enum.map((value) => JSON.stringify(value)).join(" | ");
  switch (property.type) {
    case "string":
    case "boolean":
      return property.type;
    case "integer":
      return "number";
    case "array":
      return `${type(property.items)}[]`;
    case "object":
      return `Record<string, ${type(property.additionalProperties)}>`;
    default:
      throw new Error(`no TypeScript type for ${JSON.stringify(property)}`);
  }
}

// What is said of policies alone is of no use here.
function description(property) {
  const sentences = property.description.replace(/\s+/g, " ").split(/(?<=\.) /);
  return sentences
    .filter((sentence) => !sentence.startsWith("In a policy"))
    .map((sentence) => sentence.replace(/, in a policy .*\.$/, "."))
    .join(" ");
}

function member([name, property]) {
  const optional = required.includes(name) ? "" : "?";
  return `  /** ${description(property)} */\n  readonly ${name[0].toLowerCase()}${name.slice(1)}${optional}: ${type(property)};\n`;
}

const text = `// Written by scripts/generate.mjs from replication-policy.schema.json: do not edit.

/** The properties of a replication rule. */
export interface ReplicationProperties {
${Object.entries(properties).map(member).join("\n")}}
`;

if (!process.argv.includes("--check")) {
  writeFileSync(file, text);
} else if (readFileSync(file, "utf8") !== text) {
  console.error("constructs/src/properties.ts is not that of the schema: `make schema` writes it");
  process.exit(1);
}
