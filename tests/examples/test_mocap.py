"""The example clip: the committed file's facts, the staging behind it, and that it can be made again."""

import json
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.mocap import backdrop, camera, figure, motions, render, rotations
from examples.mocap.look import Look, random_look, surroundings
from examples.mocap.timeline import FPS, Act, Performance, perform, random_timeline

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "examples" / "mocap" / "mocap.mp4"
TRUTH = ROOT / "examples" / "mocap" / "mocap.json"
CLASSES = ROOT / "weights" / "kinetics400.txt"

angles = st.floats(-3.0, 3.0)


def steps(name: str, *, speed_m_s: float = 1.0, n_frames: int = 31) -> motions.Motion:
    """A motion in DeepMimic's rows: straight ahead (x) at half a metre of height, one knee bending."""
    rows = np.zeros((n_frames, 44))
    time = np.arange(n_frames) / 30
    rows[:, 0] = 1 / 30
    rows[:, 1] = speed_m_s * time
    rows[:, 2] = 0.5
    rows[:, [4, 8, 12, 16, 21, 25, 30, 35, 39]] = 1.0
    rows[:, 20] = -time
    return motions.from_rows(name, rows)


def staged(*acts: Act) -> Performance:
    return perform(acts, lambda name: steps(name, speed_m_s=0.0 if name == "stand" else 2.0))


# --- the committed clip ------------------------------------------------------------------------------


def test_the_clip_is_what_the_readme_says():
    with av.open(str(CLIP)) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == (340, 256)
        assert stream.average_rate == FPS == 25
        assert 38 < stream.frames / FPS < 45
        assert not file.streams.audio
    assert CLIP.stat().st_size < 3_000_000


def test_the_truth_lies_inside_the_clip_and_leaves_background():
    (entry,) = json.loads(TRUTH.read_text(encoding="utf-8"))["database"].values()
    with av.open(str(CLIP)) as file:
        assert entry["duration"] == pytest.approx(file.streams.video[0].frames / FPS, abs=0.001)
    segments = [item["segment"] for item in entry["annotations"]]
    assert all(0 < start < end < entry["duration"] for start, end in segments)
    assert all(3 <= end - start <= 6 for start, end in segments)
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(segments)]
    assert len(segments) >= 4
    assert min(gaps) > 2


def test_the_labels_are_kinetics_classes():
    if not CLASSES.is_file():
        pytest.skip(f"{CLASSES} is not there")
    known = set(CLASSES.read_text(encoding="utf-8").splitlines())
    (entry,) = json.loads(TRUTH.read_text(encoding="utf-8"))["database"].values()
    assert {item["label"] for item in entry["annotations"]} <= known


@pytest.mark.slow
def test_rendering_again_gives_the_committed_frames(tmp_path):
    pytest.importorskip("pybullet", reason="pybullet (the optional dependencies `mocap`) is not installed")
    performance = render.make_video(render.TIMELINE, render.LOOK, tmp_path / "again.mp4", n_frames=2 * FPS)
    render.write_truth(performance, CLIP, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == TRUTH.read_bytes()
    again, committed = first_frames(tmp_path / "again.mp4"), first_frames(CLIP)
    # Both went through the encoder, whose choices depend on the frames that follow.
    difference = np.abs(again.astype(np.int16) - committed.astype(np.int16))
    assert difference.mean() < 2.0
    assert np.percentile(difference, 99) < 16
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.json", "again.mp4"]


def first_frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(file.decode(video=0), 2 * FPS)]
    assert len(frames) == 2 * FPS
    return np.stack(frames)


@pytest.mark.slow
def test_no_pose_of_the_clip_is_sunk_into_the_floor():
    pytest.importorskip("pybullet", reason="pybullet (the optional dependencies `mocap`) is not installed")
    from examples.mocap.scene import MOTIONS, Stage

    acts = [Act("kick", facing_deg=30), Act("run"), Act("backflip")]
    poses = perform(acts, lambda name: motions.load(name, MOTIONS)).poses
    with Stage(Look(), 34, 26) as stage:
        before = stage.lowest(poses)
        after = stage.lowest(stage.grounded(poses))
    assert before.min() < -0.02
    assert after.min() > -1e-6
    assert np.median(after) < 0.08


# --- timelines ---------------------------------------------------------------------------------------


def test_acts_follow_one_another_in_time_and_only_labels_become_truth():
    performance = staged(Act("stand"), Act("go", 3, "jogging"), Act("stand", 2))
    assert performance.duration_s == pytest.approx(6.0)
    (item,) = performance.truth
    assert (item.label, item.start_s, item.end_s) == ("jogging", pytest.approx(1.0), pytest.approx(4.0))


def test_neighbours_of_one_label_are_one_interval():
    performance = staged(Act("go", 1, "jogging"), Act("go", 2, "jogging", speed=2.0))
    assert [(item.start_s, item.end_s) for item in performance.truth] == [(0.0, pytest.approx(2.0))]


def test_the_figure_goes_where_it_faces():
    root = staged(Act("go", facing_deg=90)).poses.root_T3
    assert root[-1] == pytest.approx([0.0, 2.0 * 24 / 25, 0.5], abs=1e-6)


@given(facing=st.floats(-180, 180), speed=st.floats(0.5, 2.0), mirrored=st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_body_stays_whole_where_acts_meet(facing, speed, mirrored):
    acts = (Act("go", 2), Act("go", facing_deg=facing, speed=speed, mirrored=mirrored), Act("stand", 2))
    poses = staged(*acts).poses
    moved = np.linalg.norm(np.diff(poses.root_T3, axis=0), axis=1) * FPS
    assert moved.max() < 2.0 * (1 + speed)
    turned = rotations.multiply(poses.turn_T4[1:], rotations.inverse(poses.turn_T4[:-1]))
    assert np.linalg.norm(rotations.to_vector(turned), axis=-1).max() < np.radians(25)
    assert np.allclose(np.linalg.norm(poses.turn_T4, axis=-1), 1.0)


def test_an_act_must_make_sense():
    with pytest.raises(ValueError, match="0 repeats"):
        Act("run", 0)
    with pytest.raises(ValueError, match="at least one act"):
        perform([], steps)


def test_random_timelines_repeat_with_their_seed_and_alternate_with_background():
    once = random_timeline(3, render.ACTIONS, 5)
    assert once == random_timeline(3, render.ACTIONS, 5)
    assert once != random_timeline(4, render.ACTIONS, 5)
    assert [act.label is None for act in once] == [True, False] * 5 + [True]
    with pytest.raises(ValueError, match="actions to choose from"):
        random_timeline(3, ())


# --- motions and rotations ---------------------------------------------------------------------------


def test_a_motion_is_interpolated_between_its_key_poses():
    poses = steps("go", speed_m_s=3.0).at(np.array([0.0, 0.55, 9.0]))
    assert poses.root_T3[:, 0] == pytest.approx([0.0, 1.65, 3.0])
    assert poses.hinge_TK[1, 0] == pytest.approx(-0.55)


def test_a_mirrored_motion_bends_the_other_knee():
    mirrored = steps("go").mirrored().at(np.array([1.0]))
    assert mirrored.hinge_TK[0].tolist() == pytest.approx([0.0, 0.0, -1.0, 0.0])
    twice = steps("go").mirrored().mirrored()
    assert np.allclose(twice.poses.turn_T4, steps("go").poses.turn_T4)


def test_an_unknown_motion_is_named_with_those_that_exist(tmp_path):
    (tmp_path / "humanoid3d_swim.txt").write_text('{"Frames": [[0.1, 2]]}')
    with pytest.raises(ValueError, match=r"no motion 'fly'.*there are swim"):
        motions.load("fly", tmp_path)
    with pytest.raises(ValueError, match="44 numbers"):
        motions.load("swim", tmp_path)


@given(st.tuples(angles, angles, angles).filter(lambda v: 1e-3 < np.linalg.norm(v) < 3.1))
def test_rotation_vectors_and_quaternions_are_two_forms_of_one_thing(vector):
    assert rotations.to_vector(rotations.from_vector(np.array(vector))) == pytest.approx(vector, abs=1e-9)


@given(angle=angles)
def test_heading_is_the_turn_about_the_vertical(angle):
    upright = rotations.about_z(angle)
    assert rotations.heading_rad(upright) == pytest.approx(angle)


# --- the picture -------------------------------------------------------------------------------------


def test_the_camera_sees_what_it_looks_at_in_the_middle():
    view = camera.looking(np.array([1.0, 2.0, 0.8]), 30.0, 10.0, 3.0, 45.0, 340, 256)
    points = np.array([[1.0, 2.0, 0.8], [1.0, 2.0, 1.6]])
    middle, above = view.project(points)
    assert middle == pytest.approx([170, 128])
    assert above[1] < 100
    assert np.linalg.norm(view.eye_3 - points[0]) == pytest.approx(3.0)


def test_a_shadow_falls_away_from_the_sun():
    view = camera.looking(np.array([0.0, 0.0, 0.5]), 0.0, 30.0, 4.0, 45.0, 340, 256)
    post = np.array([[x, y, z] for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (0.0, 1.0)])
    lit = backdrop.shadow(view, [post], (-4.0, 0.0, 4.0))[..., 0]
    assert lit.min() < 0.7
    dark_x = np.nonzero(lit < 0.9)[1]
    assert dark_x.mean() > 185
    assert lit[:, :100].min() == 1.0


def test_meshes_are_closed_and_face_outward():
    for part in figure.parts(bare_arms=True, bare_legs=False):
        mesh = figure.mesh(part.profile)
        corners = mesh.vertices[mesh.indices.reshape(-1, 3)]
        # The volume by the divergence theorem is positive only when triangles face outward.
        volume = np.sum(corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])) / 6
        assert volume > 1e-5, part.link
        assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("place", ["park", "gym", "studio", "street", "track"])
def test_every_place_has_a_picture(place):
    view = camera.looking(np.array([0.0, 0.0, 0.85]), 20.0, 8.0, 3.0, 45.0, 68, 51)
    picture = surroundings(Look(place=place)).draw(view)
    assert picture.shape == (51, 68, 3)
    assert 0 <= picture.min() <= picture.max() <= 1
    assert picture.std() > 0.02


def test_looks_repeat_with_their_seed():
    assert random_look(5) == random_look(5)
    assert random_look(5) != random_look(6)
    with pytest.raises(ValueError, match="no place 'moon'"):
        Look(place="moon")


def test_without_pybullet_the_command_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda name: None)
    assert render.main(["--out", str(tmp_path / "clip.mp4")]) == 2
    assert "pip install -e '.[mocap]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
