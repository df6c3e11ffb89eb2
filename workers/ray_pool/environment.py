"""Variables that a Ray actor is started with, and what its node had before.

Ray sets them when it starts the process, above the node's own, which are gone then; but in a value it puts the node's in
place of "${NAME}", and nothing where there is none. So each comes with a mark that keeps what the node had.
"""

from collections.abc import Mapping

MARK = "EVOSEARCH_NODE_"
"""Ray 2.60 sets them in alphabetical order, so that a mark, which comes before the variable it is of, sees the node's value."""


def added(variables: Mapping[str, str]) -> dict[str, str]:
    """`env_vars` of a runtime environment: `variables`, and their marks."""
    return {**variables, **{MARK + name: f"${{{name}}}" for name in variables}}


def without_added(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of an actor as it would be without what was `added`; a variable that was empty is not in it."""
    marks = {name.removeprefix(MARK): value for name, value in environment.items() if name.startswith(MARK)}
    own = {
        name: value for name, value in environment.items() if name not in marks and not name.startswith(MARK)
    }
    return own | {name: value for name, value in marks.items() if value}


def of_job() -> Mapping[str, str]:
    """Variables that the job of this driver, or who connected it, has Ray start its workers with."""
    import ray

    given: Mapping[str, str] = ray.get_runtime_context().runtime_env.get("env_vars") or {}
    return given
