import argparse
import logging

import pytest

from common import algorithms
from common.errors import InputError, ModelError
from common.grandchallenge.interface import Interface
from common.inference.engines.pool import EnginePool
from common.model.settings import (
    BY_NAME,
    SETTINGS,
    Values,
    as_options,
    as_text,
    describe,
    from_document,
    from_environment,
    model_settings,
    require_folds,
    resolve,
    shown,
)

VALUES = {
    "time_limit": 600.0,
    "precision": "bfloat16",
    "engine": "cpu",
    "mirroring": "none",
    "folds": ["0", "2"],
    "step": 0.75,
}
TEXTS = {
    "time_limit": "600",
    "precision": "bfloat16",
    "engine": "cpu",
    "mirroring": "none",
    "folds": "0,2",
    "step": "0.75",
}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_setting_means_the_same_as_text_and_in_json(name):
    assert BY_NAME[name].parse(TEXTS[name]) == VALUES[name]
    assert from_document({name: VALUES[name]}, "run") == {name: VALUES[name]}
    assert as_text(VALUES[name]) == TEXTS[name]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_can_be_said(setting):
    assert setting.parse(shown(setting.name, setting.default)) == setting.default


@pytest.mark.parametrize("value", [1234567.0, 1 / 3, 900.0])
def test_numbers_come_back_from_json_as_they_were(value):
    name = "step" if value < 1 else "time_limit"
    assert from_document({name: value}, "run") == {name: value}


@pytest.mark.parametrize("name", ["mirroring", "precision", "engine", "step"])
def test_null_is_no_value_of_a_setting_that_always_has_one(name):
    with pytest.raises(ModelError, match=f"run.{name}: found .*None"):
        model_settings({name: None}, "model.json")


def test_no_limit_and_all_folds_are_null_in_json():
    assert from_document({"time_limit": None, "folds": None}, "run") == {"time_limit": None, "folds": None}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("time_limit", "0"),
        ("time_limit", "-1"),
        ("time_limit", "inf"),
        ("time_limit", "nan"),
        ("time_limit", "soon"),
        ("precision", "float16"),
        ("engine", "gpu"),
        ("mirroring", "some"),
        ("folds", ""),
        ("folds", "0,,1"),
        ("folds", "0,0"),
        ("folds", "../0"),
        ("step", "0"),
        ("step", "1.01"),
        ("step", "x"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name, text):
    with pytest.raises(ValueError, match=r"found .*, expected "):
        BY_NAME[name].parse(text)
    with pytest.raises(
        InputError, match=f"{BY_NAME[name].variable}: found .*, expected .*; change the variable"
    ):
        from_environment({BY_NAME[name].variable: text})
    with pytest.raises(ModelError, match=f"model.json: run.{name}: found .*, expected .*; set it anew"):
        model_settings({name: text}, "model.json")


def test_a_setting_that_there_is_not_is_refused_in_a_model_and_warned_of_in_the_environment(caplog):
    with pytest.raises(ModelError, match=r"run.speed is no setting; there are time_limit, "):
        model_settings({"speed": 3}, "model.json")
    with caplog.at_level(logging.WARNING):
        assert from_environment({"PETCT_SPEED": "3", "SPEED": "4"}) == {}
    assert caplog.messages == [f"PETCT_SPEED is no setting and is ignored; there are {_variables()}"]


def _variables():
    return "PETCT_TIME_LIMIT, PETCT_PRECISION, PETCT_ENGINE, PETCT_MIRRORING, PETCT_FOLDS, PETCT_STEP"


def test_arguments_win_over_variables_and_these_over_the_model_and_it_over_the_interface():
    places: dict[str, Values] = {
        "argument": {"step": 0.6},
        "environment": {"step": 0.7, "precision": "bfloat16"},
        "model.json": {"step": 0.8, "precision": "float32", "mirroring": "none"},
        "interface.json": {"step": 0.9, "mirroring": "all", "time_limit": 900.0},
    }
    values, origins = resolve(places)
    assert values == {
        "step": 0.6,
        "precision": "bfloat16",
        "mirroring": "none",
        "time_limit": 900.0,
        "engine": "auto",
        "folds": None,
    }
    assert origins == {
        "step": "argument",
        "precision": "environment",
        "mirroring": "model.json",
        "time_limit": "interface.json",
    }


def test_no_limit_can_be_chosen_over_one():
    values, _ = resolve({"argument": {"time_limit": None}, "interface.json": {"time_limit": 900.0}})
    assert values["time_limit"] is None
    assert as_options(values, start=5).deadline is None


def test_one_line_says_what_was_chosen_and_where():
    values, origins = resolve(
        {"argument": {"step": 0.5, "folds": ["0", "1"]}, "interface.json": {"time_limit": 900.0}}
    )
    assert describe(values, origins) == (
        "settings: time_limit 900 (interface.json), folds 0,1 (argument), step 0.5 (argument)"
    )
    assert describe(*resolve({})) == "settings: all defaults"


def test_the_time_limit_counts_from_the_start():
    values, _ = resolve({"argument": VALUES})
    options = as_options(values, start=1000)
    assert options.deadline == 1600
    assert (options.engines.engine, options.engines.precision) == ("cpu", "bfloat16")
    assert (options.mirroring, options.folds, options.step) == (False, ("0", "2"), 0.75)


def test_a_warm_process_keeps_its_engines_whatever_the_case():
    values, _ = resolve({"argument": VALUES})
    engines = EnginePool()
    assert as_options(values, start=1000, engines=engines).engines is engines


def test_a_fold_that_the_model_lacks_is_refused_by_name():
    require_folds({"folds": ["1"]}, ["0", "1"], InputError)
    require_folds({}, ["0"], InputError)
    with pytest.raises(InputError, match="found no fold 7, the model has 0, 1; choose among them"):
        require_folds({"folds": ["1", "7"]}, ["0", "1"], InputError)


@pytest.mark.parametrize("algorithm", algorithms.names())
def test_every_interface_has_the_challenges_time_limit(algorithm):
    interface = Interface.load(algorithms.interface_path(algorithm))
    assert from_document(interface.run, "run") == {"time_limit": 900.0}


def test_the_names_are_those_that_arguments_get():
    parser = argparse.ArgumentParser()
    for setting in SETTINGS:
        parser.add_argument(setting.option)
    assert set(vars(parser.parse_args([]))) == set(BY_NAME)
