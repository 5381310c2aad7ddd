# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Made-up worlds, a LiDAR that drives through them, and what is true about both."""
