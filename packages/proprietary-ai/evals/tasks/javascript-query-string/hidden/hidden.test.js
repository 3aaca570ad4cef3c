const assert = require("assert");
const { parseQuery } = require("./query.js");

const plain = (text) => Object.fromEntries(Object.entries(parseQuery(text)));
assert.deepStrictEqual(plain("?tag=a&tag=b&tag=c&x=1"), { tag: ["a", "b", "c"], x: "1" });
assert.deepStrictEqual(plain("q=a+b%20c&n=%C3%A9&e=1=2&flag"), { q: "a b c", n: "é", e: "1=2", flag: "" });
assert.deepStrictEqual(plain(""), {});
parseQuery("__proto__=x&__proto__=y");
assert.strictEqual({}.x, undefined);
assert.strictEqual(Object.getPrototypeOf({}), Object.prototype);
