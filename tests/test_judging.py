"""What the evaluation of a part asks of its scores."""

import types

from isl.evaluation import judging
from isl.evaluation.parts import Part
from isl.specs import DatasetSpec, Region
from isl.specs.evaluation import DeadSpec, EvaluationSpec, NucleiSpec
from tests.tiny_runs import disks


def test_dead_cells_are_judged_by_means(monkeypatch):
    asked = []
    scorer = types.SimpleNamespace(labels=("DISK", "INVERSE"))
    monkeypatch.setattr(judging, "build_scorers", lambda *_: [scorer])
    monkeypatch.setattr(
        judging, "score_model", lambda *_, averaged: asked.append(averaged)
    )
    monkeypatch.setattr(judging, "add_objects", lambda scores, *_: scores)
    evaluation = EvaluationSpec(
        nuclei=NucleiSpec(("DISK",)), dead=DeadSpec("INVERSE")
    )
    labels = ("DISK", "INVERSE")
    spec = DatasetSpec("s", "c", None, None, labels, evaluation=evaluation)
    (judgement,) = judging.judge_model(
        None, None, [Part(spec, disks(), Region())]
    )
    judgement.score()
    assert asked == [("INVERSE",)]
    assert DatasetSpec("s", "c", None, None, labels).dead_labels == ()
