# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many points each of several queries has in reach, from one walk down the tree.

In a sparse cloud most have too few. That is all there is to know of them, and to count costs a
fraction of what it costs to find the nearest.
"""


from dcreg_ros.inner_loop import inlined

MAX_LEAVES = 48
"""More leaves than this are too many to look at for each query."""


@inlined
def leaves_near(tree, box, limit2, numbers, boxes, stack):
    """Find the leaves closer than ``sqrt(limit2)`` to a `box` (6,); returns how many.

    `numbers` (MAX_LEAVES,) int64 and the columns of `boxes` (6, MAX_LEAVES) receive which they
    are and where; -1 is returned where they are too many. `stack` (MAX_DEPTH,) int64 is scratch.
    """
    bounds, axis, second = tree.boxes, tree.axis, tree.second
    count = top = stack[0] = 0
    while top >= 0:
        node = stack[top]
        top -= 1
        d2 = 0.0
        for k in range(3):
            gap = max(max(bounds[node, k] - box[3 + k], box[k] - bounds[node, 3 + k]), 0.0)
            d2 += gap * gap
        if d2 >= limit2:
            continue
        if axis[node] >= 0:
            stack[top + 1], stack[top + 2] = second[node], node + 1
            top += 2
            continue
        if count == MAX_LEAVES:
            return -1
        numbers[count] = second[node]
        for k in range(6):
            boxes[k, count] = bounds[node, k]
        count += 1
    return count


@inlined
def count_near(leaves, numbers, boxes, size, queries, limit2, box_d2, counts):
    """Count the points closer than ``sqrt(limit2)`` to each of `queries` (N, 3).

    The queries lie in the box that :func:`leaves_near` had, of which `numbers`, `boxes` and their
    number `size` come; `leaves` are those of the tree. `counts` (N,) int64 receives the numbers;
    `box_d2` (MAX_LEAVES,) is scratch.
    """
    for i in range(queries.shape[0]):
        x, y, z = queries[i, 0], queries[i, 1], queries[i, 2]
        for k in range(size):
            dx = max(max(boxes[0, k] - x, x - boxes[3, k]), 0.0)
            dy = max(max(boxes[1, k] - y, y - boxes[4, k]), 0.0)
            dz = max(max(boxes[2, k] - z, z - boxes[5, k]), 0.0)
            box_d2[k] = dx * dx + dy * dy + dz * dz
        count = 0
        for k in range(size):
            if box_d2[k] < limit2:
                leaf = numbers[k]
                for j in range(leaves.shape[2]):
                    dx = leaves[leaf, 0, j] - x
                    dy = leaves[leaf, 1, j] - y
                    dz = leaves[leaf, 2, j] - z
                    count += int(dx * dx + dy * dy + dz * dz < limit2)
        counts[i] = count
