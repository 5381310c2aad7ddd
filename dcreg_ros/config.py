# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the package, declared once.

``RegistrationConfig`` is one alignment of two clouds (its defaults are the paper's),
``OdometryConfig`` a whole LiDAR odometry, ``NodeConfig`` the odometry with its inputs, frames and
outputs: what the node and the offline runner read from YAML.
"""

from dataclasses import dataclass, field

from dcreg_ros.parameters import parameter, validate


class _Section:
    """A group of parameters that checks itself when it is made."""

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class RegistrationConfig(_Section):
    """How a cloud is aligned to a target, and when a direction counts as weak."""

    association: str = parameter(
        'query_plane', choices=('query_plane', 'map_plane'),
        doc='Where the plane of a match comes from: fitted to the 5 nearest target points of each '
            'query (the paper), or held by the nearest voxel of a map.')
    detection: str = parameter(
        'schur', choices=(
            'schur', 'schur_physical', 'probabilistic', 'full_eigenvalue', 'full_condition',
            'localizability', 'observability'), live=True,
        doc='When a direction counts as weak: by the condition numbers of the Schur complements '
            '(the paper), by its standard deviation against sigma_rotation and sigma_translation, '
            'by that and by how much more the geometry says than the noise of its normals, by the '
            'eigenvalues of the whole Hessian or their ratio, or by counting matches as X-ICP and '
            'SuperLoc do.')
    mitigation: str = parameter(
        'dcreg', choices=(
            'none', 'dcreg', 'truncated_cg', 'clamped', 'remap', 'tsvd', 'tikhonov', 'xicp',
            'prior'), live=True,
        doc='How a step is solved where directions are weak: as if none were, as in the paper, '
            'by its solver stopped early, with its clamped system, with the weak motions taken '
            'out of the step (remap, tsvd, xicp) or damped (tikhonov), or held to the prediction '
            'in the weak motions alone.')
    condition_threshold: float = parameter(
        10.0, low=1.0, high=1e6, live=True,
        doc='Largest over own Schur eigenvalue above which a direction is weak (paper, sec. IV); '
            'over own eigenvalue of the whole Hessian for detection "full_condition".')
    kappa_target: float = parameter(
        10.0, low=1.0, high=1e6, live=True,
        doc='Condition number that the preconditioner gives a weak block (paper, sec. VI).')
    sigma_rotation: float = parameter(
        0.01, low=1e-5, high=3.0, unit='rad', live=True,
        doc='Standard deviation from one scan above which a rotation is weak, for the detections '
            '"schur_physical" and "probabilistic".')
    sigma_translation: float = parameter(
        0.05, low=1e-5, high=10.0, unit='m', live=True,
        doc='The same for a translation.')
    noise_factor: float = parameter(
        3.0, low=0.0, high=1e3, live=True,
        doc='How many times more than the noise of the normals explains a direction must be '
            'constrained, for detection "probabilistic"; mitigation "prior" takes so much of that '
            'noise out of weak motions.')
    prior_weight: float = parameter(
        6.0, low=0.0, high=1e9, live=True,
        doc='How many times more the prediction counts in weak directions than its uncertainty '
            'says, for mitigation "prior": matches are counted one by one, but err together. 0 is '
            'the same as "none".')
    hysteresis: float = parameter(
        1.0, low=1.0, high=100.0, live=True,
        doc='A motion weak in the scan before must be this many times more precise to count as '
            'known again; 1 for no memory. Not for detection "schur".')
    eigenvalue_threshold: float = parameter(
        120.0, low=1e-6, high=1e12, live=True,
        doc='Eigenvalue of the Hessian below which a direction is weak, for detection '
            '"full_eigenvalue".')
    truncated_iterations: int = parameter(
        1, low=1, high=100, live=True,
        doc='Conjugate-gradient iterations for one step of mitigation "truncated_cg".')
    tikhonov_weight: float = parameter(
        100.0, low=0.0, high=1e12, live=True,
        doc='Added to the diagonal of the Hessian by mitigation "tikhonov"; 0 is "none".')
    xicp_high: float = parameter(
        1000.0, low=0.0, high=1e9, live=True,
        doc='Matches aligned with a mode (each counted by its cosine) from which it is '
            'localizable, for detection "localizability" and mitigation "xicp".')
    xicp_enough: float = parameter(
        300.0, low=0.0, high=1e9, live=True,
        doc='The same for strongly aligned matches; and for all aligned ones, from which a mode '
            'is partially localizable.')
    xicp_insufficient: float = parameter(
        150.0, low=0.0, high=1e9, live=True,
        doc='Strongly aligned matches below which a mode is not localizable at all.')
    xicp_partial: str = parameter(
        'equality', choices=('equality', 'inequality'), live=True,
        doc='Whether the step along a partially localizable mode is that of its aligned matches, '
            'or only no longer.')
    observability_threshold: float = parameter(
        0.2, low=0.0, high=1.0, live=True,
        doc='Votes of an axis against an even split below which it is weak, for detection '
            '"observability".')
    search_radius: float = parameter(
        1.0, low=1e-3, high=100.0, unit='m',
        doc='Largest distance to the fifth neighbour (query_plane) or to the voxel (map_plane).')
    plane_tolerance: float = parameter(
        0.2, low=1e-4, high=10.0, unit='m',
        doc='Largest distance of any of the five neighbours to the plane fitted to them '
            '(query_plane), or standard deviation of points from their plane (map_plane).')
    max_iterations: int = parameter(
        30, low=1, high=1000, doc='Iterations after which a registration stops unconverged.')
    rotation_tolerance: float = parameter(
        1e-5, low=0.0, high=1.0, unit='rad',
        doc='A step turning less than this, and moving less than translation_tolerance, ends it.')
    translation_tolerance: float = parameter(
        1e-3, low=0.0, high=10.0, unit='m', doc='See rotation_tolerance.')
    solver_tolerance: float = parameter(
        1e-6, low=0.0, high=1.0,
        doc='Residual, relative to max(1, |gradient|), that ends the conjugate gradients.')
    solver_max_iterations: int = parameter(
        10, low=1, high=100, doc='Most conjugate-gradient iterations for one step.')
    threads: int = parameter(
        0, low=0, high=64,
        doc='Threads that match points; 0 for all cores, up to eight. Never changes the result.')
    min_sigma: float = parameter(
        1e-4, low=1e-9, high=1.0, unit='m, rad',
        doc='Least standard deviation reported for any direction.')
    max_sigma: float = parameter(
        1e3, low=1e-2, high=1e6, unit='m, rad',
        doc='Largest standard deviation reported for any direction; finite, so that filters '
            'downstream survive it.')


@dataclass(frozen=True)
class PreprocessConfig(_Section):
    """Which points of a scan are used, and where each was when it was measured."""

    min_range: float = parameter(
        0.5, low=0.0, high=100.0, unit='m', doc='Points nearer than this are dropped.')
    max_range: float = parameter(
        100.0, low=0.1, high=1000.0, unit='m', doc='Points farther than this are dropped.')
    deskew: bool = parameter(
        True, doc='Undo the motion within a scan where points carry times.')
    voxel_size: float = parameter(
        0.3, low=0.01, high=10.0, unit='m',
        doc='About how far points for registration are apart, none nearer than 0.7 of it.')
    min_keypoints: int = parameter(
        800, low=0, high=1000000,
        doc='Where that leaves fewer points, as between near walls, they are nearer together, but '
            'no nearer than 0.05 m; 0 to leave it at that. max_keypoints goes before it.')
    max_keypoints: int = parameter(
        3000, low=100, high=1000000,
        doc='Points used for registration at most; where a scan has more, they are farther apart.')


@dataclass(frozen=True)
class MapConfig(_Section):
    """The local map of voxels with planes."""

    voxel_size: float = parameter(
        0.5, low=0.01, high=10.0, unit='m',
        doc='Edge of a voxel of the local map; a cell with statistics of its points has half.')
    radius: float = parameter(
        100.0, low=1.0, high=1000.0, unit='m', doc='Voxels farther from the sensor are forgotten.')
    max_cells: int = parameter(
        2000000, low=1000, high=100000000,
        doc='Cells held at most, each some 180 bytes; of a full map the farthest are forgotten.')


@dataclass(frozen=True)
class OdometryConfig(_Section):
    """A LiDAR odometry."""

    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    registration: RegistrationConfig = field(
        default_factory=lambda: RegistrationConfig(
            association='map_plane', detection='probabilistic', mitigation='prior',
            rotation_tolerance=1e-4))
    map: MapConfig = field(default_factory=MapConfig)


@dataclass(frozen=True)
class InputConfig(_Section):
    """What comes in: the fields of a PointCloud2 or a file, and the odometry that predicts."""

    time_field: str = parameter(
        '', doc='Name of the per-point time field; empty: t, time, timestamp, time_stamp, '
                'offset_time or ts, whichever is there.')
    time_unit: str = parameter(
        'auto', choices=('auto', 's', 'ms', 'us', 'ns'),
        doc='Unit of the per-point times; auto: from the type and the span of a scan.')
    stale_after: float = parameter(
        3.0, low=0.1, high=3600.0, unit='s', live=True,
        doc='Silence on the input after which the diagnostics warn, and time after which a result '
            'is stale.')
    use_prior: bool = parameter(
        False,
        doc='Whether odometry on the topic "prior" (wheels, IMU, any other) predicts each scan '
            'instead of constant velocity; its child frame needs a static transform to the LiDAR '
            'from TF, unless it is the frame of the point cloud.')
    prior_wait: float = parameter(
        0.1, low=0.0, high=1.0, unit='s',
        doc='How long a scan waits for that odometry to come up to it, by the clock on the wall, '
            'before it goes on with constant velocity.')


@dataclass(frozen=True)
class FramesConfig(_Section):
    """Names of frames, and who publishes the transform (REP-105)."""

    odom_frame: str = parameter('odom', doc='Frame the odometry is expressed in.')
    base_frame: str = parameter(
        '', doc='Frame whose pose is published; needs the static transform to the LiDAR from TF. '
                'Empty: the frame of the point cloud itself.')
    publish_tf: bool = parameter(
        False, doc='Whether to broadcast odom_frame -> base_frame (or the LiDAR frame) on /tf.')


@dataclass(frozen=True)
class PublishConfig(_Section):
    """What the node publishes beside the odometry."""

    diagnostics_period: float = parameter(
        1.0, low=0.05, high=60.0, unit='s', doc='Time between two messages on /diagnostics.')
    map_period: float = parameter(
        1.0, low=0.05, high=60.0, unit='s',
        doc='Least time between two local maps, published only while somebody listens.')


@dataclass(frozen=True)
class NodeConfig(OdometryConfig):
    """The odometry with its inputs, frames and outputs."""

    input: InputConfig = field(default_factory=InputConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    publish: PublishConfig = field(default_factory=PublishConfig)
