"""What a test needs of the machine and of the build."""

import os

import pytest

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user or give a file to one")
