exports.sortVersions = function sortVersions(versions) {
  return versions.sort();
};
