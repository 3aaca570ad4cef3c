"""What a repository says about itself: `.aicd.yml`, and what can be told without it."""

from aicd_core.repo_config.detect import detect_test_commands, files_to_read
from aicd_core.repo_config.parse import FILE_NAME, parse_repository_config
from aicd_core.repo_config.schema import json_schema
from aicd_core.repo_config.sparse import Sparse

__all__ = ["FILE_NAME", "Sparse", "detect_test_commands", "files_to_read", "json_schema", "parse_repository_config"]
