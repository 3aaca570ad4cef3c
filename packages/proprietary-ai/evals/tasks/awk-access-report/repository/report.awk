{ hits[$3]++ }
END { for (path in hits) print path, hits[path] }
