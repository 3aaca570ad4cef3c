const assert = require("assert");
const { debounce } = require("./debounce.js");

let calls = 0;
const f = debounce(() => calls++, 10);
f();
f();
setTimeout(() => assert.strictEqual(calls, 1), 100);
