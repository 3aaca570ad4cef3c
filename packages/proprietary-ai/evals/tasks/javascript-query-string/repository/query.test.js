const assert = require("assert");
const { parseQuery } = require("./query.js");

assert.strictEqual(parseQuery("?a=1&b=2").b, "2");
