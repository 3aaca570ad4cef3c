exports.parseQuery = function parseQuery(text) {
  const found = {};
  for (const part of text.replace(/^\?/, "").split("&")) {
    const [key, value] = part.split("=");
    if (key) found[key] = value;
  }
  return found;
};
