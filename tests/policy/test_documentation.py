from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshguard.policy import Agent, PolicyEngine, Request, load_policies, load_policy, render_explanation
from meshguard.policy import vocabulary as words
from meshguard.policy.lint import lint
from meshguard.policy.testing import load_cases, run_cases
from tests.policy.strategies import NOW

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/policies.md").read_text()
BLOCK = re.compile(r"^```yaml (policy|cases)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETS = sorted(
    path.name.removesuffix(".tests.yaml") for path in (ROOT / "examples/policies").glob("*.tests.yaml")
)


def examples() -> Iterator[tuple[list[str], str]]:
    """The examples of the guide: policies, and the cases that follow them."""
    policies: list[str] = []
    for kind, text in BLOCK.findall(GUIDE):
        if kind == "policy":
            policies.append(text)
        else:
            yield policies, text
            policies = []
    assert policies == []


EXAMPLES = list(examples())


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_each_example_of_the_guide_comes_out_as_it_says(number: int) -> None:
    policies, cases = EXAMPLES[number]
    engine = PolicyEngine(load_policy(text) for text in policies)
    report = run_cases(engine, load_cases(cases).cases, now=NOW)
    assert [(result.case.name, result.problems) for result in report.results if not result.passed] == []
    assert report.undecided == ()


def test_every_word_of_the_language_is_in_an_example_of_the_guide() -> None:
    policies = "".join(text for _, text in BLOCK.findall(GUIDE)) + LANGUAGE_EXAMPLE
    for word in (
        *words.POLICY_KEYS,
        *words.RULE_KEYS,
        *words.APPLIES_TO_KEYS,
        *words.PLAIN_SUBJECTS,
        *words.GROUPS,
        *words.VALUE_TESTS,
        *words.TIME_TESTS,
    ):
        if word != "description":
            assert re.search(rf"\b{word}:", policies), word


LANGUAGE_EXAMPLE = GUIDE.split("## The language, exactly")[1].split("```yaml")[1].split("```")[0]


def test_the_example_of_the_definition_loads() -> None:
    assert load_policy(LANGUAGE_EXAMPLE).name == "support-agents"


def test_the_refusal_that_the_guide_shows_is_the_one_there_is() -> None:
    text = "name: support\nrules:\n  - name: read\n    effect: allwo\n    actions: [a]\n"
    with pytest.raises(ValueError, match="allwo") as refused:
        load_policy(text, file="support.yaml")
    assert str(refused.value) in GUIDE


def test_the_explanation_that_the_guide_shows_is_the_one_there_is() -> None:
    policy = load_policy(
        LANGUAGE_EXAMPLE.replace("  trustTiers: [verified, trusted]\n", "").replace(
            "  agentIds: [agent_abc123]\n", ""
        )
    )
    agent = Agent("agent_1", "helper", "verified", ["support"])
    decision = PolicyEngine([policy]).decide(
        agent, Request("write:refund", None, {"args": {"amount": 50}}), now=NOW, explain=True
    )
    assert decision.explanation is not None
    assert render_explanation(decision.explanation) in GUIDE


@pytest.mark.parametrize("name", SETS)
def test_each_example_set_passes_its_cases_and_every_rule_decides_one(name: str) -> None:
    file = ROOT / f"examples/policies/{name}.tests.yaml"
    cases = load_cases(file.read_bytes(), str(file))
    assert cases.policies is not None
    report = run_cases(PolicyEngine(load_policies(file.parent / cases.policies)), cases.cases, now=NOW)
    assert [(result.case.name, result.problems) for result in report.results if not result.passed] == []
    assert report.undecided == ()


@pytest.mark.parametrize("name", SETS)
def test_no_example_set_has_warnings(name: str) -> None:
    assert lint(load_policies(ROOT / "examples/policies" / name)) == []


def test_every_folder_of_examples_has_cases() -> None:
    folders = [path.name for path in (ROOT / "examples/policies").iterdir() if path.is_dir()]
    assert sorted(folders) == SETS
