const assert = require("assert");
const { debounce } = require("./debounce.js");

const seen = [];
const note = function (...args) {
  seen.push([this && this.name, ...args]);
  return args.length;
};

const flushed = debounce(note, 100000);
const me = { name: "me", flushed };
assert.strictEqual(flushed.flush(), undefined);
me.flushed(1);
me.flushed(2, 3);
assert.strictEqual(flushed.flush(), 2);
assert.strictEqual(flushed.flush(), undefined);
assert.deepStrictEqual(seen, [["me", 2, 3]]);

const cancelled = debounce(note, 1);
cancelled(4);
cancelled.cancel();
cancelled.cancel();
const late = debounce(note, 1);
late.call({ name: "late" }, 5);
setTimeout(() => assert.deepStrictEqual(seen, [["me", 2, 3], ["late", 5]]), 100);
