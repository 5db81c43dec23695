from hypothesis import given

from tests.policy.comparison import SITUATIONS, first_difference


# 200 examples of 100 pairs of an agent and a request are 20,000; the nightly profile makes 200,000
@given(SITUATIONS)
def test_the_engine_decides_as_the_language_page_says(situation):
    assert first_difference(*situation) is None
