"""What a driver knows of a candidate's network."""

from evosearch.blueprint import plan as blueprints
from evosearch.storage import Born
from tests.runtime.small_search import Drive, make_plan


def test_the_layers_of_a_network_are_worked_out_once_in_the_driver(monkeypatch):
    drawn = []
    draw = blueprints.blueprint_of
    monkeypatch.setattr(blueprints, "blueprint_of", lambda *given: drawn.append(given) or draw(*given))
    blueprints.size_of.cache_clear()
    drive = Drive(make_plan())
    drive()
    networks = {fact.candidate.subject for fact in drive.logbook.of(Born)}
    for network in networks:
        assert sum(given[0] == network for given in drawn) == 1
