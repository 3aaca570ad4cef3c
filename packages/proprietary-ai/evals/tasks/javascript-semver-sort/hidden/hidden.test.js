const assert = require("assert");
const { sortVersions } = require("./versions.js");

const right = [
  "0.9.0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
  "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.9.0", "1.10.0", "10.0.0",
];
const given = [...right].reverse();
const kept = [...given];
assert.deepStrictEqual(sortVersions(given), right);
assert.deepStrictEqual(given, kept);
assert.deepStrictEqual(sortVersions(["1.0.0+9", "1.0.0-x+1", "1.0.0+1"]), ["1.0.0-x+1", "1.0.0+9", "1.0.0+1"]);
