"""Which way each setting loosens, as data, by the last part of its key."""

import re

GROWS = frozenset(
    {
        *("ignore", "extendignore", "perfileignores", "extendperfileignores", "ignores", "exclude", "extendexclude"),
        *("omit", "disable", "disabled", "disableerrorcode", "excludelines", "excludealso", "ignorepatterns"),
        *("testpathignorepatterns", "coveragepathignorepatterns", "modulepathignorepatterns", "norecursedirs"),
        *(
            "collectignore",
            "collectignoreglob",
            "excludefiles",
            "excludedirs",
            "skipdirs",
            "skipfiles",
            "skips",
            "skip",
        ),
        *("excludes", "perfiletargetversion", "excludeddirectories", "ignorepaths", "exclusions", "ignorerules"),
        *("extendexcluderules", "excluderules", "globaldisable", "ignorenames", "ignoredmodules", "ignoredclasses"),
        *("unfixable", "deselect", "ignorefiles", "excludednames", "ignoreimports", "ignoredfiles", "rulesignore"),
    }
)
"""Lists that take things out of a check: one more entry loosens."""

SHRINKS = frozenset(
    {
        *(
            "select",
            "extendselect",
            "enable",
            "enabled",
            "testpaths",
            "pythonfiles",
            "pythonclasses",
            "pythonfunctions",
        ),
        *("testmatch", "testregex", "hooks", "repos", "enableerrorcode", "source", "sourcepkgs", "collectcoveragefrom"),
        *(
            "plugins",
            "extends",
            "linters",
            "files",
            "include",
            "roots",
            "spec",
            "presets",
            "contracts",
            "requiredplugins",
        ),
    }
)
"""Lists of what is checked: one entry less loosens."""

STRICT = frozenset(
    {
        *("strict", "checkuntypeddefs", "branch", "xfailstrict", "strictnullchecks", "noimplicitany", "noimplicitthis"),
        *(
            "alwaysstrict",
            "strictfunctiontypes",
            "strictbindcallapply",
            "strictpropertyinitialization",
            "strictoptional",
        ),
        *("nounusedlocals", "nounusedparameters", "noimplicitreturns", "nofallthroughcasesinswitch", "strictequality"),
        *("nouncheckedindexedaccess", "exactoptionalpropertytypes", "noimplicitoverride", "useunknownincatchvariables"),
        *("forbidonly", "collectcoverage", "bail", "strictmarkers", "strictconfig", "recommended", "enabled", "all"),
        *("failfast", "reportunuseddisabledirectives", "extrachecks", "localpartialtypes", "failonwarning", "check"),
        *(
            "noimplicitreexport",
            "checkjs",
            "runtests",
            "exitzerofalse",
            "isolatedmodules",
            "forceconsistentcasinginfilenames",
        ),
    }
)
"""Switches that check more when they are on; so do all whose names begin as `STRICT_NAMES` says."""
STRICT_NAMES = re.compile(
    r"^(?:disallow|warn|nounused|noimplicit|strict|failon|fail(?:under)?on|report\w+|enforce|require)"
)

LOOSE = frozenset(
    {
        *("ignoremissingimports", "ignoreerrors", "skiplibcheck", "passwithnotests", "allowuntypeddefs", "skiptests"),
        *(
            "allowfailure",
            "exitzero",
            "allowredefinition",
            "continueonerror",
            "allowuntypedglobals",
            "implicitoptional",
        ),
        *("implicitreexport", "suppressimplicitanyindexerrors", "maventestskip", "skipits", "testfailureignore"),
        *(
            "allowunreachablecode",
            "allowunusedlabels",
            "ignorefailures",
            "maventestfailureignore",
            "nocheck",
            "relaxed",
        ),
        *("skipempty", "skipcovered", "informational", "disablealltests", "quiet", "allowempty", "ignorewarnings"),
    }
)
"""Switches that check less when they are on."""

FLOORS = frozenset(
    {
        *("failunder", "branches", "functions", "lines", "statements", "mincoverage", "target", "minimum", "coverage"),
        *("minimumcoverage", "mincovered", "covfailunder", "range", "minscore", "level", "checkcoverage"),
    }
)
"""Numbers that what is measured must reach: a lower one loosens."""

CEILINGS = frozenset(
    {
        *(
            "maxcomplexity",
            "maxwarnings",
            "mccabe",
            "complexity",
            "maxargs",
            "maxstatements",
            "maxbranches",
            "maxreturns",
        ),
        *(
            "maxlines",
            "maxdepth",
            "maxparams",
            "threshold",
            "maxlocals",
            "maxattributes",
            "retries",
            "reruns",
            "flakyreruns",
        ),
        *(
            "mincomplexity",
            "maxissues",
            "maxnestedcallbacks",
            "cognitivecomplexitythreshold",
            "toomanyargumentsthreshold",
        ),
        *("maxpublicmethods", "maxnestedblocks", "maxbooleanexpressions", "retrytimes"),
    }
)
"""Numbers that what is measured may reach: a higher one loosens."""

LEVELS = {
    "off": 0,
    "0": 0,
    "none": 0,
    "ignore": 0,
    "allow": 0,
    "false": 0,
    "skip": 0,
    "silent": 0,
    "warn": 1,
    "warning": 1,
    "1": 1,
    "info": 1,
    "normal": 1,
    "informational": 1,
    "basic": 1,
    "error": 2,
    "2": 2,
    "deny": 2,
    "forbid": 3,
    "true": 2,
    "strict": 3,
    "standard": 2,
}
"""How strictly a rule of a linter is taken, by its word."""

LEVEL_KEYS = re.compile(
    r"(?:^|\.)(?:rules|lints|overrides\.[^.]+\.rules|severity|followimports|typecheckingmode)(?:\.|$)"
)
"""Where a value is such a word."""

SECTIONS = re.compile(
    r"^(?:tool\.(?:ruff|mypy|pytest|coverage|pylint|flake8|bandit|pyright|basedpyright|isort|black|pydocstyle|importlinter"
    r"|ty|interrogate|vulture|poe|tox|hatch|pdm\.scripts|taskipy|deptry)|tool:pytest|pytest|coverage|mypy|flake8|pylint"
    r"|testenv|report|run|jest|vitest|mocha|nyc|c8|ava|eslintconfig|lint-?staged|scripts|lints|lints\.|workspace\.lints"
    r"|stylelint|xo|husky|tap)(?:[.:-]|$)"
)
"""Of files that also say other things: the parts that are about checks."""

MIXED = frozenset({"pyproject.toml", "package.json", "setup.cfg", "Cargo.toml", "tox.ini", "deno.json"})
"""Files that also say other things."""

WORDS = re.compile(r"(?:^|\.)(?:addopts|args|flags|commands?|options|pytestoptions)$")
"""Where a value is a command line, or a part of one."""

SCRIPT_KEYS = re.compile(
    r"^scripts\.(?:pre|post)?(?:test|lint|check|typecheck|type-check|tsc|ci|verify|coverage|validate)\b", re.IGNORECASE
)
"""The scripts of package.json that check."""
