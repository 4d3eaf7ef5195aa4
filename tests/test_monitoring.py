import numpy as np

from isl.training.monitoring import Log, Monitor


def test_log_keeps_rows_of_an_earlier_part(tmp_path):
    path = tmp_path / "log.csv"
    Log(path, ["step", "loss"]).append({"step": 2, "loss": 0.5})
    second = Log(path, ["step", "loss"])
    second.append({"step": 4, "loss": None, "other": 1})
    assert path.read_text() == "step,loss\n2,0.5\n4,\n"


def test_log_forgets_what_is_done_again(tmp_path):
    path = tmp_path / "log.csv"
    log = Log(path, ["step", "loss"])
    for step in (2, 4, 6):
        log.append({"step": step, "loss": 0})
    log.forget_after(4)
    log.append({"step": 6, "loss": 1})
    assert path.read_text() == "step,loss\n2,0\n4,0\n6,1\n"


def read_events(folder):
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_undefined_scalars_leave_a_gap(tmp_path):
    monitor = Monitor(tmp_path, 0)
    monitor.write_scalars({"a": 1.0, "b": None}, 3)
    monitor.close()
    events = read_events(tmp_path)
    assert events.Tags()["scalars"] == ["a"]


def test_resumed_run_hides_events_that_were_lost(tmp_path):
    for value, first in ((1.0, 0), (2.0, 2)):
        monitor = Monitor(tmp_path, first)
        for step in (2, 4) if first == 0 else (4,):
            monitor.write_scalars({"a": value}, step)
        monitor.close()
    points = read_events(tmp_path).Scalars("a")
    assert [(p.step, p.value) for p in points] == [(2, 1.0), (4, 2.0)]


def test_panels_are_images(tmp_path):
    monitor = Monitor(tmp_path, 0)
    monitor.write_panels({"A": np.zeros((8, 6, 3), np.float32)}, 1)
    monitor.close()
    image = read_events(tmp_path).Images("validation/A")[0]
    assert (image.height, image.width) == (8, 6)
