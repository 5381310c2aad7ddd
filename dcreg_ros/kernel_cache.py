# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where compiled kernels are kept; they are forgotten when any source has changed.

Numba looks at the file of a kernel alone, but a kernel holds compiled copies of those it calls
from other files: after an edit it would go on running the old ones.
"""

import contextlib
import logging
import tempfile
from pathlib import Path

STAMP = 'kernels.stamp'


def drop_stale_kernels(package: Path) -> bool:
    """Delete cached kernels that are older than the sources.

    Parameters
    ----------
    package : Path
        Folder of the package.

    Returns
    -------
    bool
        Whether anything was out of date. Where the folder cannot be written nothing is done: an
        installation that does not change has nothing to forget.
    """
    sources = sorted(package.rglob('*.py'))
    state = '\n'.join(f'{path.relative_to(package)} {path.stat().st_mtime_ns}' for path in sources)
    stamp = package / '__pycache__' / STAMP
    with contextlib.suppress(OSError):
        if stamp.exists() and stamp.read_text() == state:
            return False
        for index in package.rglob('__pycache__/*.nbi'):
            index.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(state)
        return True
    return False


def ensure_cache() -> None:
    """Keep kernels for this process alone where numba may write nowhere.

    Neither into the package nor below the home of the user, as in a read-only container: then
    it would refuse to compile at all.
    """
    from numba import config
    from numba.core import caching

    try:
        caching.FunctionCache(drop_stale_kernels)
    except RuntimeError:
        config.CACHE_DIR = tempfile.mkdtemp(prefix='dcreg_ros-')
        logging.getLogger(__name__).warning(
            'compiled kernels can be kept in no folder, so that every start compiles them anew: '
            'set NUMBA_CACHE_DIR to one that can be written')
