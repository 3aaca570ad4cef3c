const assert = require("assert");
const { sortVersions } = require("./versions.js");

assert.deepStrictEqual(sortVersions(["2.0.0", "1.0.0"]), ["1.0.0", "2.0.0"]);
